"""The demo corpus: French and English sentences from a grammar of our own.

`lexicon` has the words, `syntax` the shape of a sentence, `french` and `english` spell the same sentence in the two
languages, `grammar` invents sentences that make sense, and `corpus` divides them into train, valid and test.
"""
