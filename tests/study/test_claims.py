"""Claims: the document's own tables worked by hand, each test on hand-made values, and what YAML may get wrong."""

from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR
from lr_lab.study import inference
from lr_lab.study.claims import Claim, evidence, judge, read_claims
from lr_lab.study.study_file import Setting, read_study
from lr_lab.study.values import Values

# Worked by hand from Tables 1 and 2. All others of a study hold.
DOCUMENT = {
    "decay_mnist": {
        "oscillate_most_accurate": "fails",  # 4.2 (3) names seq3, its Table 1 seq4: 0.98586 over 0.98514
        "inverse_slows_progress": "silent",
        "convergence_close": "fails",  # 48 epochs are more than twice 19
        "few_updates": "silent",
    },
    "decay_cifar10": {
        "cutoff_inverse_keeps": "silent",
        "cutoff_others_decline": "silent",
        "cutoff_others_fluctuate": "silent",
        "early_fluctuation": "silent",
        "cutoff_few_updates": "silent",
        "few_updates": "silent",
    },
    "decay": {},
}


def _published(name: str) -> Values:
    study = read_study(CONFIG_DIR, name)
    assert study is not None
    settings: list[Setting] = list(study.settings)
    for part in study.reads:
        read = read_study(CONFIG_DIR, part)
        assert read is not None
        settings += [replace(s, name=f"{part}/{s.name}") for s in read.settings]
    return Values.published(replace(study, settings=settings))


@pytest.mark.parametrize("name", DOCUMENT)
def test_the_documents_own_tables(name: str) -> None:
    claims = read_claims(CONFIG_DIR / "claims" / f"{name}.yaml")
    published = _published(name)
    findings = {finding.claim.name: finding for finding in judge(claims, published, published)}
    expected = {claim.name: DOCUMENT[name].get(claim.name, "holds") for claim in claims}
    assert {claim: finding.document for claim, finding in findings.items()} == expected
    assert {finding.verdict.verdict for finding in findings.values()} == {"undecided"}, "a verdict from one seed"


def test_every_decidable_finding_has_an_entry() -> None:
    places = {c.place for n in DOCUMENT for c in read_claims(CONFIG_DIR / "claims" / f"{n}.yaml")}
    mnist = {f"4.2 ({number})" for number in range(1, 8)}
    cifar = {f"4.3 ({number})" for number in range(1, 8)}
    # 4.4 (2) says that the networks differ in size, which no result decides.
    assert places == mnist | cifar | {f"4.4 ({number})" for number in (1, 3, 4, 5, 6)}


SEEDS = range(8)
WOBBLE = [0.0, 0.2, -0.1, 0.1, -0.2, 0.15, -0.05, 0.05]


def _values(metric: str = "val_accuracy", **centres: float) -> Values:
    """Settings around their centres, with wobbles that differ between them by a shift of the seeds."""
    rows = [
        {"setting": name, "seed": seed, "status": "completed", metric: centre + WOBBLE[(seed + shift) % 8]}
        for shift, (name, centre) in enumerate(centres.items())
        for seed in SEEDS
    ]
    return Values(pd.DataFrame(rows), list(centres), "the test")


def _verdict(values: Values, test: str, **arguments: object) -> str:
    claim = Claim("it", "here", "so it is", test, arguments=arguments)
    (finding,) = judge([claim], values, values)
    return finding.verdict.verdict


@pytest.mark.parametrize(
    ("test", "arguments", "verdicts"),
    [
        ("ahead", {"of": {"c": "*"}}, ("reproduced", "not reproduced")),
        ("ahead", {"of": {"c": ["a", "b"]}, "margin": 0.5}, ("reproduced", "not reproduced")),
        ("ahead", {"of": {"c": ["a", "b"]}, "margin": 1.5}, ("not reproduced", "not reproduced")),
        ("ahead", {"of": {"a": "*"}, "lowest": True}, ("reproduced", "not reproduced")),
        ("order", {"settings": ["c", "b", "a"]}, ("reproduced", "not reproduced")),
        ("similar", {"within": ["*"], "margin": 2.5}, ("reproduced", "reproduced")),
        ("similar", {"within": ["*"], "margin": 1.5}, ("not reproduced", "not reproduced")),  # a and c
        ("similar", {"within": [["a", "c"]], "margin": 0.5}, ("not reproduced", "not reproduced")),
        ("within_factor", {"settings": "*", "factor": 2}, ("reproduced", "reproduced")),
        ("within_factor", {"settings": "*", "factor": 1.1}, ("not reproduced", "not reproduced")),
        ("bounded", {"settings": "c", "below": 13}, ("reproduced", "reproduced")),
        ("bounded", {"settings": "c", "above": 11}, ("reproduced", "not reproduced")),
        ("bounded", {"settings": "[bc]", "below": 11.5}, ("not reproduced", "reproduced")),
        ("bounded", {"settings": "a", "above": 9, "below": 11}, ("reproduced", "not reproduced")),
        ("ahead_on_average", {"of": {"[bc]": ["a"]}}, ("reproduced", "not reproduced")),
        ("ahead_on_average", {"of": {"b": ["a", "c"]}}, ("not reproduced", "not reproduced")),
        ("ahead_on_average", {"of": {"c": ["a"]}, "margin": 2.5}, ("not reproduced", "not reproduced")),
        ("picked", {"candidates": "[bc]", "benchmark": "a"}, ("reproduced", "not reproduced")),
        ("picked", {"candidates": "[ab]", "benchmark": "c", "lowest": True}, ("reproduced", "not reproduced")),
        ("wider", {"settings": "[ac]", "than": "[ab]"}, ("reproduced", "reproduced")),
        ("wider", {"settings": "[ac]", "than": "[ab]", "factor": 3}, ("not reproduced", "not reproduced")),
        (
            "more_gain",
            {"candidates": "c", "benchmark": "a", "than": "b", "than_benchmark": "a"},
            ("reproduced", "not reproduced"),
        ),
        (
            "more_gain",
            {"candidates": "a", "benchmark": "c", "than": "b", "than_benchmark": "c", "lowest": True},
            ("reproduced", "not reproduced"),
        ),
    ],
)
def test_each_test_where_it_holds_and_upside_down(
    test: str, arguments: dict[str, object], verdicts: tuple[str, str]
) -> None:
    holds, upside_down = _values(a=10, b=11, c=12), _values(a=12, b=11, c=10)
    arguments["metric"] = "val_accuracy"
    assert (_verdict(holds, test, **arguments), _verdict(upside_down, test, **arguments)) == verdicts


def test_the_gain_is_held_against_each_of_the_others() -> None:
    values = _values(a=10, b=11, c=13, d=12.9)
    arguments = {"candidates": "d", "benchmark": "a", "than": "[bc]", "than_benchmark": "a"}
    found = evidence(Claim("x", "", "", "more_gain", arguments={"metric": "val_accuracy", **arguments}), values)
    b, c, d = (values.series(name, "val_accuracy") for name in "bcd")
    over_b, over_c = inference.compare(d, b), inference.compare(d, c)
    assert found.effect == pytest.approx(-0.1)
    assert (found.low, found.high) == pytest.approx((over_c.low, over_b.high))
    assert (found.p_for, found.p_against) == pytest.approx((over_c.p_for, 2 * over_c.p_against))
    assert 2 * over_c.p_against < 1


def test_gains_of_runs_that_never_get_there_tie() -> None:
    never = _values(a=inf, b=inf, c=inf)
    arguments = {"candidates": "c", "benchmark": "a", "than": "b", "than_benchmark": "a"}
    claim = Claim("it", "here", "so", "more_gain", arguments={"metric": "val_accuracy", **arguments})
    assert evidence(claim, never).effect == 0
    spread = Claim("it", "here", "so", "wider", arguments={"metric": "val_accuracy", "settings": "*", "than": "[ab]"})
    assert evidence(spread, never).effect == 0


@pytest.mark.parametrize(("seeds", "studies", "most"), [(5, 40, 4), (12, 16, 3)])
def test_noise_is_no_difference_between_settings(seeds: int, studies: int, most: int) -> None:
    """Settings of one dataset are equal, those of the other too, and its seeds scatter eight times as much."""
    rng = np.random.default_rng(seeds)
    claim = Claim("it", "here", "so", "wider", "", {"metric": "val_accuracy", "settings": "c*", "than": "m*"})
    verdicts = []
    for _ in range(studies):
        rows = [
            {"setting": f"{kind}{n}", "seed": seed, "status": "completed", "val_accuracy": rng.normal(0.8, scatter)}
            for kind, scatter in (("c", 0.008), ("m", 0.001))
            for n in range(5)
            for seed in range(seeds)
        ]
        values = Values(pd.DataFrame(rows), [f"{kind}{n}" for kind in "cm" for n in range(5)], "the test")
        verdicts.append(inference.judge({"it": evidence(claim, values)})["it"].verdict)
    # At 5% each, five false ones of 40 have a chance of 4.8%, four of 16 one of 0.7%.
    assert verdicts.count("undecided") >= studies - most


def test_a_bound_on_those_runs_only_of_which_something_is_true() -> None:
    rows = [
        {"seed": seed, "val_accuracy": 12 * fell + WOBBLE[seed], "collapsed": fell}
        for seed, fell in enumerate([1.0] * 6 + [0.0] * 2)
    ]
    values = Values(pd.DataFrame(rows).assign(setting="a", status="completed"), ["a"], "the test")
    bound = {"metric": "val_accuracy", "settings": "a", "above": 11.0}
    assert _verdict(values, "bounded", **bound, only="collapsed") == "reproduced"
    assert _verdict(values, "bounded", **bound) == "undecided"
    with pytest.raises(UserError, match=r"only=collapsed chooses runs of one setting, and .* stands for a, b"):
        _verdict(_values(a=1, b=2), "bounded", metric="val_accuracy", settings="*", above=0, only="collapsed")


def test_how_far_one_setting_lies_apart_is_no_question() -> None:
    with pytest.raises(UserError, match="takes at least two"):
        _verdict(_values(a=1, b=2), "wider", metric="val_accuracy", settings="*", than="a")


@pytest.mark.parametrize("missing", ["a", "b"])
def test_how_far_settings_lie_apart_is_unknown_while_one_has_no_run(missing: str) -> None:
    rows = pd.DataFrame([{"setting": name, "seed": 0, "status": "completed", "val_accuracy": 1.0} for name in "abcd"])
    values = Values(rows[rows["setting"] != missing], list("abcd"), "the test")
    claim = Claim("it", "here", "so", "wider", "", {"metric": "val_accuracy", "settings": "[cd]", "than": "[ab]"})
    assert np.isnan(evidence(claim, values).effect)


@pytest.mark.parametrize(("margin", "verdict"), [(1.5, "reproduced"), (0.5, "not reproduced")])
def test_two_metrics_agree_within_a_margin(margin: float, verdict: str) -> None:
    """Measured and predicted lie 1 apart, give or take a fifth."""
    rows = [
        {"setting": name, "seed": seed, "status": "completed", "measured": at + WOBBLE[seed % 8], "predicted": at + 1}
        for name, at in (("a", 10), ("b", 20))
        for seed in SEEDS
    ]
    values = Values(pd.DataFrame(rows), ["a", "b"], "the test")
    arguments = {"metric": "measured", "reference": "predicted", "settings": "*", "margin": margin}
    assert _verdict(values, "agree", **arguments) == verdict


@pytest.mark.parametrize(("above", "verdict"), [(0.1, "reproduced"), (0.9, "not reproduced"), (0.4, "undecided")])
def test_a_share_of_runs(above: float, verdict: str) -> None:
    """Half of eight runs collapsed."""
    rows = [{"setting": "a", "seed": seed, "status": "completed", "collapsed": float(seed % 2)} for seed in SEEDS]
    values = Values(pd.DataFrame(rows), ["a", "b"], "the test")
    assert _verdict(values, "share", metric="collapsed", setting="a", above=above) == verdict
    with pytest.raises(UserError, match=r"Claim it: setting=\* stands for a, b; a share is taken of one setting"):
        _verdict(values, "share", metric="collapsed", setting="*", above=above)


def test_a_lead_is_the_paired_t_test_of_scipy() -> None:
    values = _values(a=10, b=10.1)
    found = evidence(Claim("x", "", "", "ahead", arguments={"metric": "val_accuracy", "of": {"b": "a"}}), values)
    pairs = [list(values.series(name, "val_accuracy").values()) for name in "ba"]
    expected = stats.ttest_rel(*pairs, alternative="greater")
    assert found.p_for == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(stats.ttest_rel(*pairs).confidence_interval()))


def test_fewer_epochs_are_better_and_never_is_the_worst() -> None:
    rows = [
        {"setting": name, "seed": seed, "status": "completed", "convergence_epoch": epoch}
        for name, epoch in (("fast", 5), ("slow", 9), ("never", nan))
        for seed in SEEDS
    ]
    values = Values(pd.DataFrame(rows), ["fast", "slow", "never"], "the test")
    assert set(values.series("never", "convergence_epoch").values()) == {inf}
    assert _verdict(values, "order", metric="convergence_epoch", settings=["fast", "slow", "never"]) == "reproduced"


def test_runs_that_are_missing_leave_a_claim_undecided() -> None:
    rows = pd.DataFrame([{"setting": "a", "seed": 0, "status": "completed", "val_accuracy": 0.5}])
    values = Values(rows, ["a", "b"], "the test")
    claim = Claim("x", "", "", "ahead", arguments={"metric": "val_accuracy", "of": {"a": "b"}})
    (finding,) = judge([claim], values, values)
    assert (finding.verdict.verdict, finding.verdict.seeds) == ("undecided", 0)


@pytest.mark.parametrize("arguments", [{"of": "a"}, {"of": {"a": "b"}, "margin": "two"}])
def test_arguments_of_the_wrong_kind_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(UserError, match="Claim it: the test ahead cannot work with metric=val_accuracy, of="):
        evidence(Claim("it", "", "", "ahead", "", {"metric": "val_accuracy", **arguments}), _values(a=1.0, b=2.0))


def test_what_differs_by_rounding_is_a_tie_in_the_document() -> None:
    rows = [{"setting": n, "seed": 0, "status": "completed", "val_loss": x} for n, x in (("a", 0.3), ("b", 0.1 + 0.2))]
    values = Values(pd.DataFrame(rows), ["a", "b"], "the document")
    (finding,) = judge([Claim("x", "", "", "ahead", "", {"metric": "val_loss", "of": {"a": "b"}})], values, values)
    assert finding.document == "tie"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{place: here, says: x, test: bset}", "test=bset is not known; known are ahead"),
        ("{place: here, test: ahead}", "has no says"),
        (
            "{place: here, says: x, test: bounded, metric: val_loss, setings: a}",
            "the test bounded takes metric, settings",
        ),
        ("{place: here, says: x, test: order, metric: val_loss", "not valid YAML"),
    ],
)
def test_a_claim_that_cannot_be_read(tmp_path: Path, entry: str, words: str) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(f"broken: {entry}")
    with pytest.raises(UserError, match=words) as error:
        read_claims(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "val_accuracy", "of": {"seq9": "*"}}, "Claim x: seq9 is no setting of the study; there are a, b"),
        ({"metric": "accuracy", "of": {"a": "b"}}, "Claim x: the test has no column accuracy; of the metrics it has"),
        ({"metric": "val_accuracy", "of": {"a": "a"}}, "Claim x: A claim needs"),
    ],
)
def test_a_claim_that_cannot_be_tested(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        evidence(Claim("x", "", "", "ahead", arguments=arguments), _values(a=1, b=2))
