"""Claims: the document's own tables worked by hand, each test on hand-made values, and what YAML may get wrong."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR
from lr_lab.study.claims import Claim, Finding, read_claims, statement
from lr_lab.study.judgement import judge
from lr_lab.study.looks import Table
from lr_lab.study.statements import Contrasts, Sample
from lr_lab.study.study_file import Setting, Study, read_study
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


def _with_settings(name: str) -> Study:
    study = read_study(CONFIG_DIR, name)
    assert study is not None
    settings: list[Setting] = list(study.settings)
    for part in study.reads:
        read = read_study(CONFIG_DIR, part)
        assert read is not None
        settings += [replace(s, name=f"{part}/{s.name}") for s in read.settings]
    return replace(study, settings=settings)


@pytest.mark.parametrize("name", DOCUMENT)
def test_the_documents_own_tables(name: str) -> None:
    study = _with_settings(name)
    published = Values.published(study)
    findings = {finding.claim.name: finding for finding in judge(study, published, published)[1]}
    expected = {claim: DOCUMENT[name].get(claim, "holds") for claim in study.claims}
    assert {claim: finding.document for claim, finding in findings.items()} == expected
    assert {finding.verdict.verdict for finding in findings.values()} == {"undecided"}, "a verdict from one seed"


def test_every_decidable_finding_has_an_entry() -> None:
    places = {claim.place for name in DOCUMENT for claim in read_claims(name, _with_settings(name).claims)}
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


def _finding(values: Values, test: str, **arguments: object) -> Finding:
    """Of a study of this one claim, each setting a group of its own, judged once on all seeds there are."""
    settings = [Setting(name, name, {}, group=name) for name in values.settings]
    claim = {"place": "here", "says": "so it is", "test": test, **arguments}
    (finding,) = judge(Study("it", "it", settings=settings, claims={"it": claim}), values, values)[1]
    return finding


def _verdict(values: Values, test: str, **arguments: object) -> str:
    return _finding(values, test, **arguments).verdict.verdict


def _samples(claim: Claim, values: Values) -> list[Sample]:
    """Of the rows of the claim's statement, without kin."""
    rows = [row for group in statement(claim, values) for row in group]
    contrasts = Contrasts(rows, [])
    seeds = sorted(set().union(*(values.seeds(setting) for setting in values.settings)))
    table = Table(values, {}, seeds).array(contrasts.cells, dict.fromkeys(values.settings, len(seeds)))
    return list(contrasts.samples(table).values())


@pytest.mark.parametrize(
    ("test", "arguments", "verdicts"),
    [
        ("ahead", {"rivals": {"c": "*"}}, ("reproduced", "not reproduced")),
        ("ahead", {"rivals": {"c": ["a", "b"]}, "margin": 0.5}, ("reproduced", "not reproduced")),
        ("ahead", {"rivals": {"c": ["a", "b"]}, "margin": 1.5}, ("not reproduced", "not reproduced")),
        ("ahead", {"rivals": {"a": "*"}, "lower_is_better": True}, ("reproduced", "not reproduced")),
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
        ("ahead_on_average", {"rivals": {"[bc]": ["a"]}}, ("reproduced", "not reproduced")),
        ("ahead_on_average", {"rivals": {"b": ["a", "c"]}}, ("not reproduced", "not reproduced")),
        ("ahead_on_average", {"rivals": {"c": ["a"]}, "margin": 2.5}, ("not reproduced", "not reproduced")),
        ("picked", {"candidates": "[bc]", "benchmark": "a"}, ("reproduced", "not reproduced")),
        ("picked", {"candidates": "[ab]", "benchmark": "c", "lower_is_better": True}, ("reproduced", "not reproduced")),
        ("wider", {"settings": "[ac]", "than": "[ab]"}, ("reproduced", "reproduced")),
        ("wider", {"settings": "[ac]", "than": "[ab]", "factor": 3}, ("not reproduced", "not reproduced")),
        (
            "more_gain",
            {"candidates": "c", "benchmark": "a", "than": "b", "than_benchmark": "a"},
            ("reproduced", "not reproduced"),
        ),
        (
            "more_gain",
            {"candidates": "a", "benchmark": "c", "than": "b", "than_benchmark": "c", "lower_is_better": True},
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
    found = _finding(values, "more_gain", metric="val_accuracy", **arguments).verdict
    b, c, d = (np.array([*values.series(name, "val_accuracy").values()]) for name in "bcd")
    assert found.effect == pytest.approx(-0.1)
    # All have to be gained more than: the worst lower bound; one is enough against it, so half of 5% each above.
    assert found.low == pytest.approx(stats.ttest_1samp(d - c, 0).confidence_interval().low)
    assert found.high == pytest.approx(stats.ttest_1samp(d - c, 0).confidence_interval(0.975).high)
    assert (d - b).mean() > 0


def test_gains_of_runs_that_never_get_there_tie() -> None:
    never = _values(a=inf, b=inf, c=inf)
    arguments = {"candidates": "c", "benchmark": "a", "than": "b", "than_benchmark": "a"}
    assert _finding(never, "more_gain", metric="val_accuracy", **arguments).verdict.effect == 0
    assert _finding(never, "wider", metric="val_accuracy", settings="*", than="[ab]").verdict.effect == 0


@pytest.mark.parametrize(("seeds", "studies", "most"), [(5, 40, 4), (12, 16, 3)])
def test_noise_is_no_difference_between_settings(seeds: int, studies: int, most: int) -> None:
    """Settings of one dataset are equal, those of the other too, and its seeds scatter eight times as much."""
    rng = np.random.default_rng(seeds)
    verdicts = []
    for _ in range(studies):
        rows = [
            {"setting": f"{kind}{n}", "seed": seed, "status": "completed", "val_accuracy": rng.normal(0.8, scatter)}
            for kind, scatter in (("c", 0.008), ("m", 0.001))
            for n in range(5)
            for seed in range(seeds)
        ]
        values = Values(pd.DataFrame(rows), [f"{kind}{n}" for kind in "cm" for n in range(5)], "the test")
        verdicts.append(_verdict(values, "wider", metric="val_accuracy", settings="c*", than="m*"))
    # At 5% each, five false ones of 40 have a chance of 4.8%, four of 16 one of 0.7%.
    assert verdicts.count("undecided") >= studies - most


def test_a_bound_on_those_runs_only_of_which_something_is_true() -> None:
    rows = [
        {"seed": seed, "val_accuracy": 12 * fell + WOBBLE[seed], "collapsed": fell}
        for seed, fell in enumerate([1.0] * 6 + [0.0] * 2)
    ]
    values = Values(pd.DataFrame(rows).assign(setting="a", status="completed"), ["a"], "the test")
    bound = {"metric": "val_accuracy", "settings": "a", "above": 11.0}
    assert _verdict(values, "bounded", **bound, among="collapsed") == "reproduced"
    assert _verdict(values, "bounded", **bound) == "undecided"
    with pytest.raises(UserError, match=r"among=collapsed chooses runs of one setting, and .* stands for a, b"):
        _verdict(_values(a=1, b=2), "bounded", metric="val_accuracy", settings="*", above=0, among="collapsed")


def test_how_far_one_setting_lies_apart_is_no_question() -> None:
    with pytest.raises(UserError, match="takes at least two"):
        _verdict(_values(a=1, b=2), "wider", metric="val_accuracy", settings="*", than="a")


@pytest.mark.parametrize("missing", ["a", "b"])
def test_how_far_settings_lie_apart_is_unknown_while_one_has_no_run(missing: str) -> None:
    rows = pd.DataFrame([{"setting": name, "seed": 0, "status": "completed", "val_accuracy": 1.0} for name in "abcd"])
    values = Values(rows[rows["setting"] != missing], list("abcd"), "the test")
    found = _finding(values, "wider", metric="val_accuracy", settings="[cd]", than="[ab]")
    assert np.isnan(found.verdict.effect)


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


def test_a_lead_without_kin_passes_both_tests_of_scipy() -> None:
    drawn = np.random.default_rng(0).normal(size=(2, 8))
    rows = [
        {"setting": name, "seed": seed, "status": "completed", "val_accuracy": value + (name == "b")}
        for name, series in zip("ab", drawn, strict=True)
        for seed, value in enumerate(series)
    ]
    values = Values(pd.DataFrame(rows), ["a", "b"], "the test")
    arguments = {"metric": "val_accuracy", "rivals": {"b": "a"}}
    (found,) = _samples(Claim("x", "", "", "ahead", arguments=arguments), values)
    pair = drawn[1] + 1, drawn[0]
    by_t = stats.ttest_rel(*pair, alternative="greater").pvalue
    by_ranks = stats.wilcoxon(*pair, alternative="greater", method="exact").pvalue
    assert found.p_above() == pytest.approx(max(by_t, by_ranks))
    assert found.interval() == pytest.approx(tuple(stats.ttest_rel(*pair).confidence_interval()))


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
    finding = _finding(values, "ahead", metric="val_accuracy", rivals={"a": "b"})
    assert (finding.verdict.verdict, finding.verdict.seeds) == ("undecided", 0)


@pytest.mark.parametrize("arguments", [{"rivals": "a"}, {"rivals": {"a": "b"}, "margin": "two"}])
def test_arguments_of_the_wrong_kind_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(UserError, match="Claim it: the test ahead cannot work with metric=val_accuracy, rivals="):
        statement(Claim("it", "", "", "ahead", "", {"metric": "val_accuracy", **arguments}), _values(a=1.0, b=2.0))


def test_what_differs_by_rounding_is_a_tie_in_the_document() -> None:
    rows = [{"setting": n, "seed": 0, "status": "completed", "val_loss": x} for n, x in (("a", 0.3), ("b", 0.1 + 0.2))]
    values = Values(pd.DataFrame(rows), ["a", "b"], "the document")
    assert _finding(values, "ahead", metric="val_loss", rivals={"a": "b"}).document == "tie"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{place: here, says: x, test: bset}", "test=bset is not known; known are ahead"),
        ("{place: here, test: ahead}", "has no says"),
        (
            "{place: here, says: x, test: bounded, metric: val_loss, setings: a}",
            "the test bounded takes metric, settings",
        ),
        ("{place: here, says: x, test: ahead, metric: val_loss, of: {a: b}}", "of is called rivals now; rename it"),
        ("a word", "a word is not a mapping"),
    ],
)
def test_a_claim_that_cannot_be_read(entry: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        read_claims("conf/studies/x.yaml", {"broken": yaml.safe_load(entry)})
    assert "conf/studies/x.yaml, claim broken" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "val_accuracy", "rivals": {"seq9": "*"}}, "Claim x: seq9 is not a setting of the study;"),
        ({"metric": "accuracy", "rivals": {"a": "b"}}, "Claim x: the test has no column accuracy; of the metrics it"),
        ({"metric": "val_accuracy", "rivals": {"a": "a"}}, "Claim x: A claim needs"),
    ],
)
def test_a_claim_that_cannot_be_tested(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        statement(Claim("x", "", "", "ahead", arguments=arguments), _values(a=1, b=2))
