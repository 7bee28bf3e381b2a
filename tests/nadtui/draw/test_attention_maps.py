"""What maps a run has, and in which order."""

from nadtui.draw import attention_maps


def test_groups_are_ordered_as_images_pass_them():
    assert attention_maps.in_order({"group10", "group2", "group1"}) == ("group1", "group2", "group10")
