"""Documents 002, 003 and 001 on their own words: worked by hand from a table, from two numbers, from none."""

import pytest

from lr_lab.run.config import CONFIG_DIR
from lr_lab.study.judgement import judge
from lr_lab.study.study_file import read_study
from lr_lab.study.values import Values

# Claims on which the numbers say something; on all others they are silent.
DOCUMENT = {
    "fixed_mnist": {
        "high_is_unstable": "fails",  # 80.87% at 0.1, 23.04% at 0.01
        "goldilocks": "fails",
        "slow": "fails",  # 99.78% at 0.001
        "barely_learns": "fails",  # 100% at 0.0001
        "middle_rates": "fails",
        "table_high": "holds",
        "table_exploding": "holds",
        "table_just_right": "holds",
        "table_low": "holds",
        "table_crawling": "holds",
        "table_best": "holds",
    },
    "fer2013": {},
    "descent_line": {"low_arrives": "holds", "high_arrives": "holds", "high_is_faster": "holds"},
    "high_lr": {},  # a document without a number
}


@pytest.mark.parametrize("name", DOCUMENT)
def test_what_the_documents_numbers_say_of_its_words(name: str) -> None:
    study = read_study(CONFIG_DIR, name)
    assert study is not None
    published = Values.published(study)
    found = {finding.claim.name: finding.document for finding in judge(study, published, published)[1]}
    assert found == {claim: DOCUMENT[name].get(claim, "silent") for claim in study.claims}
