from hrm.tracking.flat import flat


def test_keys_are_joined_and_values_stay_what_they_are() -> None:
    nested = {"a": 1, "b": {"c": None, "d": {"e": [1, 2]}}, "f": {}}
    assert dict(flat(nested)) == {"a": 1, "b.c": None, "b.d.e": [1, 2]}
    assert list(dict(flat(nested, "x/", separator="/"))) == ["x/a", "x/b/c", "x/b/d/e"]
