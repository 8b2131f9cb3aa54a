"""Every format is read by its content: the same run, as many programs write it, gives the same numbers."""

import contextlib
import csv
import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lr_lab.curves.assemble import Wishes, curves
from lr_lab.curves.curve import Curve
from lr_lab.curves.explanation import explain
from lr_lab.curves.find import read, reader_of
from lr_lab.curves.source import Source
from lr_lab.curves.text import as_text
from lr_lab.errors import UserError

TRAIN = [2.0, 1.5, 1.2, 1.0, 0.9, 0.8]
VAL = [1.9, 1.6, 1.4, 1.3, 1.25, 1.2]
HITS = [0.35, 0.45, 0.5, 0.56, 0.58, 0.59]
EPOCHS = range(6)


def lines(line: Callable[[int], str], head: str = "") -> str:
    return head + "\n".join(map(line, EPOCHS)) + "\n"


def keras(epoch: int) -> str:
    bar = f"\x1b[1m10/10\x1b[0m \x1b[32m━━━━\x1b[0m 1s 20ms/step - accuracy: 0.5 - loss: {TRAIN[epoch]}"
    val = f"val_accuracy: {HITS[epoch]} - val_loss: {VAL[epoch]}"
    return f"Epoch {epoch + 1}/6\n 1/10 ━ 9s 1s/step - loss: 9.9\r{bar} - {val}"


def lightning_bar(epoch: int) -> str:
    bar = "100/100 [00:05<00:00, 18.30it/s, v_num=3"
    early = f"Epoch {epoch}: 10%|█  | 10/100 [00:01<00:05, 18.30it/s, v_num=3, train_loss=7.0]\r"
    val = f"val_loss={VAL[epoch]}, val_acc={HITS[epoch]}"
    return f"{early}Epoch {epoch}: 100%|██| {bar}, train_loss={TRAIN[epoch]}, {val}]"


def imagenet(epoch: int) -> str:
    steps = "".join(f"Epoch: [{epoch}][ {step}/100]\tTime 0.3 (0.4)\tLoss 9.1 ({TRAIN[epoch]})\n" for step in (0, 99))
    return f"{steps}Test: [ 0/10]\tTime 0.2 (0.3)\tLoss 7.0 ({VAL[epoch]})\n * Acc@1 {100 * HITS[epoch]:.1f} Acc@5 99.0"


def pytorch_tutorial(epoch: int) -> str:
    return (
        f"Epoch {epoch}/5\n----------\ntrain Loss: {TRAIN[epoch]} Acc: 0.5\nval Loss: {VAL[epoch]} Acc: {HITS[epoch]}\n"
    )


def hugging_face(epoch: int) -> str:
    return (
        f"{{'loss': {TRAIN[epoch]}, 'learning_rate': 1e-05, 'epoch': {epoch + 1}.0}}\n"
        f"{{'eval_loss': {VAL[epoch]}, 'eval_accuracy': {HITS[epoch]}, 'eval_runtime': 3.2, 'epoch': {epoch + 1}.0}}"
    )


def stamped(epoch: int) -> str:
    stamp = f"2024-01-01 12:00:0{epoch},123 [INFO] root: [Epoch {epoch + 1:03d}]"
    warning = 'UserWarning: 3 classes of 12 are empty\n  File "train.py", line 12, in <module>\n'
    train = f"{stamp} | Train | loss: {TRAIN[epoch]}\n{warning}"
    return f"{train}{stamp} | Val | loss: {VAL[epoch]} | acc: {100 * HITS[epoch]}%"


def lightning_csv(epoch: int) -> str:
    steps = f"{epoch},,{100 * epoch + 49},,7.0,,\n{epoch},,{100 * epoch + 99},,,{HITS[epoch]},{VAL[epoch]}"
    return f",0.001,{100 * epoch},,,,\n{steps}\n{epoch},,{100 * epoch + 99},{TRAIN[epoch]},,,"


def mm(epoch: int) -> str:
    train = {"mode": "train", "epoch": epoch + 1, "iter": 50, "lr": 0.1, "loss_cls": 0.1, "loss": TRAIN[epoch]}
    val = {"mode": "val", "epoch": epoch + 1, "iter": 100, "loss": VAL[epoch], "bbox_mAP": HITS[epoch]}
    return f"{json.dumps(train)}\n{json.dumps(val)}"


HISTORY = {"loss": TRAIN, "val_loss": VAL, "val_accuracy": HITS}
TEXTS = {
    "keras csv from 0": lines(
        lambda e: f"{e},0.5,{TRAIN[e]},{HITS[e]},{VAL[e]}", "epoch,accuracy,loss,val_accuracy,val_loss\n"
    ),
    "byte order mark": "\ufeff"
    + lines(lambda e: f"{e + 1},{TRAIN[e]},{VAL[e]},{HITS[e]}", "epoch,loss,val_loss,val_acc\n"),
    "decimal comma": lines(
        lambda e: f"{e + 1};{TRAIN[e]};{VAL[e]};{HITS[e]}".replace(".", ","), "Epoch;Train Loss;Val Loss;Val Acc\n"
    ),
    "padded": lines(
        lambda e: f"  {e}, {TRAIN[e]}, {VAL[e]}, {HITS[e]},",
        "   epoch,   train/loss,  val/loss,  metrics/accuracy_top1,\n",
    ),
    "numpy's header": lines(
        lambda e: f"{e}\t{TRAIN[e]}\t{VAL[e]}\t{HITS[e]}", "# epoch\ttrain_ce\ttest_ce\ttest_top1\n"
    ),
    "markdown": lines(
        lambda e: f"| {e + 1} | {TRAIN[e]} | {VAL[e]} | {100 * HITS[e]}% |",
        "| Epoch | Train | Val Loss | Val Acc |\n|--|--|--|--|\n",
    ).replace("| Train |", "| Train Loss |"),
    "rows by split": lines(
        lambda e: f"{e + 1},train,{TRAIN[e]},0.5\n{e + 1},val,{VAL[e]},{HITS[e]}", "epoch,phase,loss,accuracy\n"
    ),
    "long": "step,metric,value\n"
    + "".join(f"{e},{name},{values[e]}\n" for name, values in HISTORY.items() for e in EPOCHS),
    "sparse": lines(lightning_csv, "epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val_acc,val_loss\n"),
    "history": json.dumps(HISTORY),
    "history as python": str(HISTORY),
    "history inside": json.dumps({"history": HISTORY, "params": {"epochs": 6}}),
    "data frame": json.dumps({name: {str(e): values[e] for e in EPOCHS} for name, values in HISTORY.items()}),
    "rows": json.dumps(
        [{"epoch": e, "train": {"loss": TRAIN[e]}, "val": {"loss": VAL[e], "acc": HITS[e]}} for e in EPOCHS]
    ),
    "trainer_state": json.dumps(
        {
            "log_history": [
                *({"epoch": e + 0.5, "loss": TRAIN[e], "step": 10 * e + 5} for e in EPOCHS),
                *(
                    {"epoch": e + 1.0, "eval_loss": VAL[e], "eval_accuracy": HITS[e], "step": 10 * e + 10}
                    for e in EPOCHS
                ),
                {"epoch": 6.0, "step": 60, "train_loss": 1.23, "train_runtime": 12.0},
            ]
        }
    ),
    "mm": lines(mm, '{"env_info": "linux", "seed": 0}\n'),
    "keras": lines(keras),
    "lightning's bar": lines(lightning_bar),
    "imagenet": lines(imagenet),
    "tutorial": lines(pytorch_tutorial),
    "hugging face": lines(hugging_face) + "{'train_runtime': 12.0, 'train_loss': 1.23, 'epoch': 6.0}\n",
    "stamped": lines(stamped),
    "one line": lines(lambda e: f"Epoch {e + 1}/6 train loss {TRAIN[e]} val loss {VAL[e]} acc {100 * HITS[e]}%"),
    "dictionary order": lines(
        lambda e: f"epoch {e}: loss: {TRAIN[e]} - val_loss: {VAL[e]} - accuracy: 0.5 - val_accuracy: {HITS[e]}"
    ),
    "in brackets": lines(lambda e: f"epoch={e + 1}, loss(train)={TRAIN[e]}, loss(val)={VAL[e]}, acc(val)={HITS[e]}"),
    "word order": lines(lambda e: f"EPOCH {e + 1}:\nLOSS train {TRAIN[e]} valid {VAL[e]}\nACC valid {HITS[e]}"),
    "numbers first": lines(
        lambda e: f"Train loss: {TRAIN[e]}\nVal loss: {VAL[e]}, val acc: {HITS[e]}\nEpoch {e + 1} done"
    ),
    "no epochs": lines(lambda e: f"train_loss={TRAIN[e]}\nval_loss={VAL[e]} val_acc={HITS[e]}"),
    "best so far": lines(
        lambda e: (
            f"Epoch {e + 1} loss {TRAIN[e]} val_loss {VAL[e]} val_acc {HITS[e]}\n"
            f"val_loss improved from 9.0 to 8.0, saving model\nBest val_loss so far: 0.001"
        )
    ),
    "fastai": lines(
        lambda e: f"{e}         {TRAIN[e]:.6f}    {VAL[e]:.6f}    {HITS[e]:.6f}  00:05",
        "epoch     train_loss  valid_loss  accuracy  time    \n",
    ),
    "steps and their mean": lines(
        lambda e: (
            f"Train Epoch: {e + 1} [0/600 (0%)]\tLoss: 9.0\n====> Epoch: {e + 1} Average loss: {TRAIN[e]}\n"
            f"====> Test set loss: {VAL[e]}, accuracy: {HITS[e]}"
        )
    ),
    "logloss": lines(lambda e: f"[{e}]\ttrain-mlogloss:{TRAIN[e]}\teval-mlogloss:{VAL[e]}\teval-accuracy:{HITS[e]}"),
}


def of_text(text: str, **wishes: object) -> list[Curve]:
    source = Source(None, text.encode())
    reader = reader_of(source)
    assert reader is not None
    return [curve for table in reader.tables(source) for curve in curves(table, Wishes(**wishes))]  # type: ignore[arg-type]


def close(found: tuple[float | None, ...], expected: list[float]) -> bool:
    return [value for value in found if value is not None] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_same_run_in_many_formats_gives_the_same_numbers(text: str) -> None:
    (curve,) = of_text(text)
    assert curve.at == (1, 2, 3, 4, 5, 6)
    assert close(curve.train_loss, TRAIN)
    assert close(curve.val_loss, VAL)
    assert close(curve.val_accuracy, HITS)
    assert {"train_loss", "val_loss", "val_accuracy"} <= set(dict(curve.read))


def board(folder: Path, series: dict[str, list[float]], start: int = 0) -> None:
    writer = EventFileWriter(str(folder))
    for tag, values in series.items():
        for step, value in enumerate(values, start):
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=1.7e9, step=step, summary=summary))
    writer.close()


def test_tensorboard_of_one_folder_and_of_one_per_split(tmp_path: Path) -> None:
    board(tmp_path / "one", {"Loss/train": TRAIN, "Loss/val": VAL, "Acc/val": HITS})
    board(tmp_path / "two" / "train", {"epoch_loss": TRAIN})
    board(tmp_path / "two" / "validation", {"epoch_loss": VAL, "epoch_accuracy": HITS})
    for curve in (*read([str(tmp_path / "one")]), *read([str(tmp_path / "two")])):
        assert curve.at == (1, 2, 3, 4, 5, 6)
        assert close(curve.train_loss, TRAIN)
        assert close(curve.val_loss, VAL)
        assert close(curve.val_accuracy, HITS)


def test_tensorboards_downloads_of_one_run_are_joined(tmp_path: Path) -> None:
    for tag, values in {"train_loss": TRAIN, "val_loss": VAL}.items():
        rows = "".join(f"1700000000.0,{step},{value}\n" for step, value in enumerate(values))
        (tmp_path / f"run-fit-tag-{tag}.csv").write_text(f"Wall time,Step,Value\n{rows}")
    downloaded = [[1.7e9, step, value] for step, value in enumerate(HITS)]
    (tmp_path / "run-fit-tag-val_accuracy.json").write_text(json.dumps(downloaded))
    (curve,) = read([str(tmp_path)])
    assert close(curve.train_loss, TRAIN)
    assert close(curve.val_loss, VAL)
    assert close(curve.val_accuracy, HITS)


def test_a_panel_of_wandb_holds_several_runs() -> None:
    header = [
        "Step",
        *(f"{run} - {name}{end}" for run in "ab" for name in ("loss", "val_loss") for end in ("", "__MIN", "__MAX")),
    ]
    rows = [
        ",".join(map(str, [step, *[TRAIN[step]] * 3, *[VAL[step]] * 3] * 1 + [*[1.0] * 3, *[2.0] * 3]))
        for step in EPOCHS
    ]
    first, second = of_text("\n".join([",".join(f'"{name}"' for name in header), *rows]))
    assert close(first.train_loss, TRAIN)
    assert close(first.val_loss, VAL)
    assert close(second.val_loss, [2.0] * 6)


def test_mlflow_folder_and_database(tmp_path: Path) -> None:
    metrics = tmp_path / "mlruns" / "0" / "abc" / "metrics"
    (metrics / "val").mkdir(parents=True)
    (metrics.parent / "meta.yaml").write_text("run_id: abc\n")
    for name, values in {"train_loss": TRAIN, "val/loss": VAL}.items():
        (metrics / name).write_text("".join(f"1700000000000 {value} {step}\n" for step, value in enumerate(values)))
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("create table runs (run_uuid text, name text)")
        database.execute(
            "create table metrics (key text, value real, timestamp int, run_uuid text, step int, is_nan bool)"
        )
        database.execute("insert into runs values ('abc', 'calm-fox')")
        told = [
            (name, value, step)
            for name, values in {"train_loss": TRAIN, "val_loss": VAL}.items()
            for step, value in enumerate(values)
        ]
        database.executemany("insert into metrics values (?, ?, 1, 'abc', ?, 0)", told)
    for path in ("mlruns", "mlruns/0/abc", "mlflow.db"):
        (curve,) = read([str(tmp_path / path)])
        assert close(curve.train_loss, TRAIN)
        assert close(curve.val_loss, VAL)


def test_the_losses_of_a_detector_are_summed() -> None:
    names = [f"{split}/{part}_loss" for split in ("train", "val") for part in ("box", "cls", "dfl")]
    rows = lines(
        lambda e: ",".join(map(str, [e + 1, *[TRAIN[e] / 3] * 3, *[VAL[e] / 3] * 3])), f"epoch,{','.join(names)}\n"
    )
    (curve,) = of_text(rows)
    assert close(curve.train_loss, TRAIN)
    assert close(curve.val_loss, VAL)
    assert dict(curve.read)["train_loss"] == "train/box_loss + train/cls_loss + train/dfl_loss"


def test_of_two_losses_without_a_total_that_of_the_classes_is_read() -> None:
    (curve,) = of_text(
        lines(lambda e: f"{e},900.0,{TRAIN[e]}", "epoch,train_regression_loss,train_classification_loss\n")
    )
    assert close(curve.train_loss, TRAIN)


def test_a_run_begins_where_the_epochs_begin_again_and_is_resumed_where_they_fall_back() -> None:
    text = "epoch,loss\n" + "".join(
        f"{epoch},{loss}\n" for epoch, loss in [(0, 3.0), (1, 2.9), (0, 2.0), (1, 1.5), (2, 1.0), (2, 0.9), (3, 0.8)]
    )
    first, second = of_text(text)
    assert close(first.train_loss, [3.0, 2.9])
    assert second.at == (1, 2, 3, 4)
    text = "epoch,loss\n" + "".join(
        f"{epoch},{loss}\n" for epoch, loss in [(1, 3.0), (2, 2.0), (3, 1.5), (4, 1.2), (3, 1.4), (4, 1.1)]
    )
    (curve,) = of_text(text)
    assert curve.resumed == (3,)
    assert close(curve.train_loss, [3.0, 2.0, 1.4, 1.1])


def test_runs_of_one_table_are_told_apart_by_their_column() -> None:
    text = "run,epoch,loss\n" + "".join(f"{run},{e},{TRAIN[e]}\n" for run in ("a", "b") for e in EPOCHS)
    assert [curve.name for curve in of_text(text)] == ["standard input: a", "standard input: b"]


def test_single_rows_of_nan_in_a_run_that_goes_on_are_left_out_and_counted() -> None:
    losses = [[2.0, math.nan], [1.5, 1.7], [1.2, 1.2], [1.0, 1.0], [0.9, 0.9]]
    (curve,) = of_text("epoch,loss\n" + "".join(f"{e},{loss}\n" for e, both in enumerate(losses) for loss in both))
    assert close(curve.train_loss, [2.0, 1.6, 1.2, 1.0, 0.9])
    assert any("1 of 10 training losses are not finite" in note for note in curve.notes)
    (curve,) = of_text("epoch,loss\n0,2.0\n1,nan\n2,nan\n")
    assert curve.train_loss[0] == 2.0
    assert all(value is not None and math.isnan(value) for value in curve.train_loss[1:])


def test_blank_losses_of_a_row_are_nan_where_every_row_is_an_epoch() -> None:
    (curve,) = of_text("epoch,loss,val_loss,lr\n1,2.0,2.0,0.1\n2,,,0.1\n")
    assert curve.train_loss[1] is not None
    assert math.isnan(curve.train_loss[1])


def test_few_epochs_with_many_logged_steps_are_read_by_step() -> None:
    rows = [{"epoch": step / 20, "step": step, "loss": 2.0 - step / 40} for step in range(1, 41)]
    (curve,) = of_text(json.dumps({"log_history": rows}))
    assert (curve.unit, len(curve)) == ("step", 40)
    (curve,) = of_text(json.dumps({"log_history": rows}), unit="epoch")
    assert (curve.unit, len(curve)) == ("epoch", 2)


def test_a_person_overrules_what_was_read() -> None:
    text = lines(lambda e: f"{e + 1},{TRAIN[e]},{VAL[e]},{e / 10}", "epoch,alpha,beta,accuracy\n")
    with pytest.raises(UserError, match=r"no column that is a loss; its columns are epoch, alpha, beta, accuracy"):
        of_text(text)
    (curve,) = of_text(text, columns={"train_loss": "alpha", "val_loss": "beta"}, percent=True, classes=3)
    assert close(curve.train_loss, TRAIN)
    assert close(curve.val_loss, VAL)
    assert curve.classes == 3
    assert close(
        curve.train_accuracy if curve.has("train_accuracy") else curve.val_accuracy, [e / 1000 for e in EPOCHS]
    )
    with pytest.raises(UserError, match="has no such column"):
        of_text(text, columns={"train_loss": "gamma"})
    with pytest.raises(UserError, match="has no such role"):
        of_text(text, columns={"loss": "alpha"})


@pytest.mark.parametrize("text", ["", "hello\nworld\n", "1,2\n3,4\n", '{"a": 1}', "name,age\nx,3\n", "\x00\x01\x02"])
def test_what_is_no_log_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read([str(path)])
    assert "\n" not in str(refused.value)


def test_of_a_folder_the_log_that_tells_most_is_read(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("epoch,loss\n1,2.0\n2,1.0\n")
    (tmp_path / "train.log").write_text("Epoch 1 loss 7.0\nEpoch 2 loss 6.0\n")
    (tmp_path / "args.yaml").write_text("lr: 0.1\n")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "loss.csv").write_text("epoch,loss\n1,9.0\n2,9.0\n")
    (curve,) = read([str(tmp_path)])
    assert close(curve.train_loss, [2.0, 1.0])


def test_a_run_of_this_laboratory_is_read_with_its_classes(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model:\n  classes: 10\nlr: 0.1\n")
    with (tmp_path / "history.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "gradient_norm"])
        writer.writerows([e, 0.1 * 0.5**e, TRAIN[e], 0.5, VAL[e], HITS[e], 1.0] for e in EPOCHS)
    (curve,) = read([str(tmp_path)])
    assert (curve.classes, curve.initial_lr, curve.at[0]) == (10, 0.1, 1)
    assert close(curve.val_accuracy, HITS)


@pytest.mark.parametrize("name", ["config.yaml", "result.json"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_file_of_a_run_of_this_laboratory_is_named(tmp_path: Path, name: str, share: float) -> None:
    texts = {"config.yaml": "model: {classes: 10}\n", "result.json": '{"guess_loss": 2.3}'}
    for file, text in texts.items():
        (tmp_path / file).write_text(text[: int(share * len(text))] if file == name else text)
    header = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    (tmp_path / "history.csv").write_text(",".join(header) + "\n0,0.1,2,0.5,2,0.5\n1,0.1,1,0.6,1,0.6\n")
    with pytest.raises(UserError, match=rf"{name} is damaged; explain .*history\.csv instead"):
        read([str(tmp_path)])


def test_fastais_rows_without_names() -> None:
    (curve,) = of_text(lines(lambda e: f"[{e}, {TRAIN[e]}, {VAL[e]}, {HITS[e]}, '00:01']"))
    assert close(curve.train_loss, TRAIN)
    assert close(curve.val_loss, VAL)
    (curve,) = of_text(
        lines(lambda e: f"[{e}, {TRAIN[e]}, {VAL[e]}, {HITS[e]}, '00:01']"), columns={"val_accuracy": "metric 1"}
    )
    assert close(curve.val_accuracy, HITS)


def test_classes_are_read_from_a_printed_log() -> None:
    (curve,) = of_text("Found 500 files belonging to 5 classes.\nEpoch 1 loss 1.6\nEpoch 2 loss 1.5\n")
    assert curve.classes == 5


PIECES = st.sampled_from(
    [
        *("Epoch", "epoch: ", "loss", "val_loss", "acc", "train", "val ", "lr", "step", "best", "classes", "=", ":"),
        *(",", "|", "[", "]", "(", ")", "{", "}", "'", "\t", "\n", "\n", "\r", "/", "%", "-", " ", " ", "nan", "inf"),
        *("1", "2", "0.5", "1e999", "-3", "1/10", "00:01", "{}", '{"loss": 1}', "#", "\x1b[1m", "é", "1,5"),
    ]
)


@given(st.lists(PIECES, max_size=60).map("".join))
@settings(max_examples=200)
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    with contextlib.suppress(UserError):
        assert all(as_text(explain(curve)) for curve in of_any(text) if len(curve))


def of_any(text: str) -> list[Curve]:
    source = Source(None, text.encode())
    reader = reader_of(source)
    return [] if reader is None else [curve for table in reader.tables(source) for curve in curves(table)]
