from nmt_cli.run.translation import Hypothesis
from nmt_cli.run.writing import distinct


def test_a_text_is_listed_once_as_its_best_hypothesis_spells_it():
    whole, cut, other = (
        Hypothesis("a cat", score, tokens)
        for score, tokens in ((-1.0, ("a", "cat")), (-2.0, ("a", "c", "at")), (-3.0, ("a", "ca", "t")))
    )
    dog = Hypothesis("a dog", -2.5, ("a", "dog"))
    assert distinct([whole, cut, dog, other]) == (whole, dog)
