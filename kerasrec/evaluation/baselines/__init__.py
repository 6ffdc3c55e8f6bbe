"""Item recommenders that count instead of learn: the baselines that every table of figures shows beside a model.

Histories are `offsets` int64 [U + 1] and `ids` int32 [N]: user u has the token ids ids[offsets[u]:offsets[u + 1]] in
time order. Ids below FIRST_ITEM are special tokens, which are ignored.
"""
