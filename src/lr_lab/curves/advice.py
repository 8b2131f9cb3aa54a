"""Advice: at most three things to try next, each with its number, why, how to see that it helped, and the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lr_lab.curves.diagnosis import Diagnosis
from lr_lab.curves.findings import Finding, rate
from lr_lab.curves.shape import Shape

FRAMEWORKS = ("Lightning", "Keras", "Hugging Face", "PyTorch")
MOST = 3


@dataclass(frozen=True)
class Advice:
    """
    Attributes:
        do: what to try, with its number.
        why: the reason, from the curve.
        check: what the next curve shows if it helped.
        code: a line per framework, by its name.
    """

    do: str
    why: str
    check: str
    code: Mapping[str, str]


def advise(shape: Shape, diagnosis: Diagnosis, found: Sequence[Finding]) -> list[Advice]:
    """Advice on the label and on the findings, the most pressing first; empty where nothing stands out."""
    by_kind = {finding.kind: finding for finding in found}
    advice: list[Advice] = []
    if "validation_not_finite" in by_kind:
        advice.append(_mend_validation())
    if "taken_up_wrongly" in by_kind:
        advice.append(_take_up(by_kind["taken_up_wrongly"]))
    if {"jumps_between_epochs", "same_order"} & by_kind.keys():
        advice.append(_shuffle())
    advice += _of_label(shape, diagnosis, by_kind)
    if "best_thrown_away" in by_kind and diagnosis.label != "overfitting":
        advice.append(_keep_best(by_kind["best_thrown_away"]))
    if "short_warmup" in by_kind and diagnosis.label != "diverged":
        advice.append(_warm_up(shape))
    if "never_lowered" in by_kind and diagnosis.label != "overfitting":
        advice.append(_lower(shape, by_kind["never_lowered"]))
    if "validation_better" in by_kind:
        advice.append(_compare_fairly())
    if "gap" in by_kind:
        advice.append(_regularise("The training loss is far below the validation loss."))
    return list({one.do: one for one in advice}.values())[:MOST]


def _of_label(shape: Shape, diagnosis: Diagnosis, by_kind: Mapping[str, Finding]) -> list[Advice]:
    highest = shape.highest_rate
    if "taken_up_wrongly" in by_kind and diagnosis.label in ("collapsed", "diverged", "oscillating"):
        return []  # the restart did it, not the rate before it
    match diagnosis.label:
        case "diverged" if "rate_too_high" not in by_kind:
            return [
                _find_bad_step(by_kind),
                _clip(),
                _lower_rate(shape, 3, "If no sample is bad, a step was too large."),
            ]
        case "diverged":
            return [_lower_rate(shape, 3, "The loss grew beyond every bound."), _clip(), _warm_up(shape)]
        case "collapsed":
            return [_lower_rate(shape, 3, "The run was on its way down and was thrown back."), _clip(), _warm_up(shape)]
        case "oscillating":
            return [_lower_rate(shape, 3, "The losses jump by more than they gain.")]
        case "stuck" if "rate_too_high" in by_kind:
            return [
                _lower_rate(shape, 10, "The loss lies above that of guessing, as after steps that are too large."),
                _one_batch(),
            ]
        case "stuck":
            return [_one_batch(), _raise_rate(highest, 10, "Nothing was learned, and nothing jumps either.")]
        case "overfitting":
            return [_stop(shape, diagnosis), _regularise("The training loss falls on while the validation loss rises.")]
        case "crawling" if "lowered_too_early" in by_kind:
            return [_hold(shape, by_kind["lowered_too_early"])]
        case "crawling" if "rate_too_low" in by_kind and "short_warmup" not in by_kind:
            return [_raise_rate(highest, 3, "The loss falls steadily and is far from flat."), _longer(shape)]
        case "crawling":
            return [_longer(shape)]
        case _ if "lowered_too_early" in by_kind:
            return [_hold(shape, by_kind["lowered_too_early"])]
    return []


def _code(lightning: str, keras: str, hugging_face: str, pytorch: str) -> dict[str, str]:
    return dict(zip(FRAMEWORKS, (lightning, keras, hugging_face, pytorch), strict=True))


def _rate_code(value: str) -> dict[str, str]:
    return _code(
        f"torch.optim.AdamW(self.parameters(), lr={value})  # in configure_optimizers",
        f"model.compile(optimizer=keras.optimizers.Adam(learning_rate={value}), ...)",
        f"TrainingArguments(..., learning_rate={value})",
        f"optimizer = torch.optim.AdamW(model.parameters(), lr={value})",
    )


def _lower_rate(shape: Shape, by: int, why: str) -> Advice:
    highest = shape.highest_rate
    value = rate(highest / by) if highest else f"YOUR_RATE / {by}"
    do = (
        f"Lower the rate to {value} (a {_nth(by)} of {rate(highest)})."
        if highest
        else f"Lower the rate to a {_nth(by)} of yours."
    )
    return Advice(
        do, why, "The loss falls from the first epochs on and stays down; if not, divide again.", _rate_code(value)
    )


def _raise_rate(highest: float | None, by: int, why: str) -> Advice:
    value = rate(highest * by) if highest else f"{by} * YOUR_RATE"
    do = (
        f"Raise the rate to {value} ({by} times {rate(highest)})."
        if highest
        else f"Raise the rate to {by} times yours."
    )
    return Advice(
        do,
        why,
        "After as many epochs the loss is clearly lower; if it jumps or rises, go back half of the way.",
        _rate_code(value),
    )


def _nth(by: int) -> str:
    return {3: "third", 10: "tenth"}[by]


def _find_bad_step(by_kind: Mapping[str, Finding]) -> Advice:
    place = f" in epoch {by_kind['not_finite'].marks[0]:g}" if "not_finite" in by_kind else ""
    return Advice(
        f"Find the first step whose loss is not finite{place}, and look at its samples.",
        "The losses before it did not rise, so one bad step may have done it.",
        "The step is found; without its samples, or with the mended loss, the run goes on.",
        _code(
            "Trainer(detect_anomaly=True)",
            "keras.callbacks.TerminateOnNaN()",
            'TrainingArguments(..., debug="underflow_overflow")',
            "torch.autograd.set_detect_anomaly(True)",
        ),
    )


def _clip() -> Advice:
    return Advice(
        "Clip the gradient's norm to 1.",
        "One large step is enough to throw a run out of where it was.",
        "The spikes are gone; if the loss still climbs without a spike, the rate is the cause.",
        _code(
            "Trainer(..., gradient_clip_val=1.0)",
            "keras.optimizers.Adam(..., global_clipnorm=1.0)",
            "TrainingArguments(..., max_grad_norm=1.0)",
            "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # between backward() and step()",
        ),
    )


def _warm_up(shape: Shape) -> Advice:
    share = 0.05
    return Advice(
        "Warm the rate up over the first 5% of the steps.",
        "Early steps are the largest, and the first ones decide where a run goes.",
        "The training loss falls in the first epoch without shooting up.",
        _code(
            "torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=LR, "
            "total_steps=self.trainer.estimated_stepping_batches, pct_start=0.05)",
            "keras.optimizers.schedules.CosineDecay(0.0, STEPS, warmup_target=LR, warmup_steps=STEPS // 20)",
            f"TrainingArguments(..., warmup_ratio={share})",
            "torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=STEPS // 20)  # step() after "
            "every batch",
        ),
    )


def _stop(shape: Shape, diagnosis: Diagnosis) -> Advice:
    patience = max(2, round(len(shape.val) / 10)) if shape.curve.unit == "epoch" else 3
    lowest = shape.curve.best("val_loss") or (shape.curve.at[-1], 0.0)
    came_back = lowest[0] == shape.curve.at[-1]  # the smoothed losses rose
    since = shape.place(float(diagnosis.since or 1) if came_back else lowest[0])
    return Advice(
        f"Stop after {since} and keep those weights (patience {patience}).",
        f"From {since} on the validation loss rose.",
        "Training ends a few epochs after the lowest validation loss, with its weights.",
        _code(
            f'EarlyStopping("val_loss", patience={patience}), ModelCheckpoint(monitor="val_loss")',
            f'keras.callbacks.EarlyStopping("val_loss", patience={patience}, restore_best_weights=True)',
            f"EarlyStoppingCallback({patience}) with TrainingArguments(load_best_model_at_end=True, "
            'metric_for_best_model="eval_loss", eval_strategy="epoch", save_strategy="epoch")',
            'if val_loss < best: best = val_loss; torch.save(model.state_dict(), "best.pt")',
        ),
    )


def _regularise(why: str) -> Advice:
    return Advice(
        "Set weight decay to 0.05 and add augmentation, or dropout of 0.2.",
        why,
        "The two losses stay closer together, and the lowest validation loss is lower than today's.",
        _code(
            "torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=0.05)",
            "keras.optimizers.AdamW(learning_rate=LR, weight_decay=0.05)",
            "TrainingArguments(..., weight_decay=0.05)",
            "torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)",
        ),
    )


def _keep_best(finding: Finding) -> Advice:
    return Advice(
        f"Keep the weights of the best epoch ({finding.number:g} in this run) rather than the last ones.",
        "The last weights are worse than those.",
        "The evaluation at the end gives the best epoch's number.",
        _code(
            'ModelCheckpoint(monitor="val_loss", save_top_k=1)',
            'keras.callbacks.ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True)',
            'TrainingArguments(..., load_best_model_at_end=True, metric_for_best_model="eval_loss")',
            'if val_loss < best: best = val_loss; torch.save(model.state_dict(), "best.pt")',
        ),
    )


def _longer(shape: Shape) -> Advice:
    last = shape.curve.at[-1]
    unit = f"{shape.curve.unit}s"
    length = f"{2 * last:g}"
    epochs = length if shape.curve.unit == "epoch" else "EPOCHS"
    return Advice(
        f"Train for {length} {unit}, twice as long.",
        f"At {shape.place(last)} the loss still falls.",
        "The loss goes on falling and levels out before the end.",
        _code(
            f"Trainer(max_epochs={epochs})" if epochs != "EPOCHS" else f"Trainer(max_steps={length})",
            f"model.fit(..., epochs={epochs})",
            f"TrainingArguments(..., num_train_epochs={epochs})"
            if epochs != "EPOCHS"
            else f"TrainingArguments(..., max_steps={length})",
            f"for epoch in range({epochs}):",
        ),
    )


def _hold(shape: Shape, finding: Finding) -> Advice:
    highest = shape.highest_rate or 0.0
    until = max(1, round(0.6 * shape.curve.at[-1]))
    return Advice(
        f"Hold the rate at {rate(highest)} until {shape.place(until)}, and lower it then.",
        f"It was gone by {shape.place(finding.number or 1)}, while there was still much to learn.",
        f"The training loss goes on falling after {shape.place(finding.number or 1)}.",
        _code(
            f"torch.optim.lr_scheduler.MultiStepLR(optimizer, [{until}], gamma=0.1)",
            f"keras.callbacks.LearningRateScheduler(lambda epoch, lr: {rate(highest)} if epoch < {until} else "
            f"{rate(highest / 10)})",
            'TrainingArguments(..., lr_scheduler_type="constant")',
            f"torch.optim.lr_scheduler.MultiStepLR(optimizer, [{until}], gamma=0.1)",
        ),
    )


def _lower(shape: Shape, finding: Finding) -> Advice:
    at = max(1, round(2 / 3 * shape.curve.at[-1]))
    value = finding.number or 0.0
    return Advice(
        f"Lower the rate from {rate(value)} to {rate(value / 10)} after {shape.place(at)}, or by a cosine to 0.",
        "At a constant rate the training loss only jumps about its level.",
        "The training loss drops within a few epochs of the lowering and jumps less.",
        _code(
            f"torch.optim.lr_scheduler.MultiStepLR(optimizer, [{at}], gamma=0.1)",
            f"keras.optimizers.schedules.CosineDecay({rate(value)}, STEPS)",
            'TrainingArguments(..., lr_scheduler_type="cosine")',
            "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)",
        ),
    )


def _shuffle() -> Advice:
    return Advice(
        "Shuffle the training data in every epoch.",
        "The losses within the epochs look as they do when samples come in a fixed order.",
        "The pattern that every epoch repeats is gone.",
        _code(
            "DataLoader(train_set, batch_size=BATCH, shuffle=True)",
            "model.fit(..., shuffle=True)  # for a tf.data.Dataset: .shuffle(SIZE) before .batch(...)",
            "Trainer shuffles by itself; shuffle an IterableDataset: dataset.shuffle(buffer_size=10_000)",
            "DataLoader(train_set, batch_size=BATCH, shuffle=True)",
        ),
    )


def _one_batch() -> Advice:
    return Advice(
        "Train on one single batch until its loss is near 0.",
        "A run that learns nothing at all has a fault more often than a bad rate: labels, a frozen layer, an "
        "activation "
        "in the wrong place, data that were not scaled.",
        "The loss of that batch comes down to near 0 within some hundred steps; if not, the fault is in model or data.",
        _code(
            "Trainer(overfit_batches=1, max_epochs=200)",
            "model.fit(x[:32], y[:32], epochs=200)",
            "Trainer(train_dataset=dataset.select(range(32)), ...)",
            "batch = next(iter(loader))  # and train on it alone, 200 times",
        ),
    )


def _take_up(finding: Finding) -> Advice:
    value = rate(finding.number) if finding.number else "OLD_RATE"
    return Advice(
        f"Take the run up with the rate it had ({value}) and with the optimizer's state.",
        f"After the restart in epoch {finding.marks[0]:g} the loss jumped up.",
        "The losses before and after the restart join without a jump.",
        _code(
            'trainer.fit(model, ckpt_path="last.ckpt")  # not load_from_checkpoint, which leaves the optimizer out',
            'keras.callbacks.BackupAndRestore("backup")',
            "trainer.train(resume_from_checkpoint=True)",
            'optimizer.load_state_dict(saved["optimizer"]); scheduler.load_state_dict(saved["scheduler"])',
        ),
    )


def _compare_fairly() -> Advice:
    return Advice(
        "Measure the training loss once in evaluation mode, without augmentation, and look for samples in both sets.",
        "The validation loss is lower than the training loss.",
        "In evaluation mode the training loss is the lower one; if it is not, the validation set is easier or leaked.",
        _code(
            "trainer.validate(model, train_dataloader)",
            "model.evaluate(x_train, y_train)",
            "trainer.evaluate(train_dataset)",
            "model.eval()  # and one pass over the training data under torch.no_grad()",
        ),
    )


def _mend_validation() -> Advice:
    return Advice(
        "Compute the validation loss in float32 and find the first batch where it is not finite.",
        "It is not a number on any line, so no choice can be made by it.",
        "The validation loss is a number from the first epoch on.",
        _code(
            "assert loss.isfinite(), batch_idx  # in validation_step",
            "keras.callbacks.TerminateOnNaN(), then model.evaluate batch by batch",
            "TrainingArguments(..., fp16_full_eval=False, bf16_full_eval=False)",
            "assert loss.isfinite(), step  # in the validation loop",
        ),
    )
