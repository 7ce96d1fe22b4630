"""A second scorer on the data card and the page: named, and only where there is one."""

import copy

from fairgen.evaluate import audit_synthetic, data_card


def test_both_acceptances_stand_side_by_side(audit_document: dict) -> None:
    assert data_card.opinions([audit_document]) == []
    assert "second scorer" not in audit_synthetic.page("toy", [audit_document])
    asked = {**copy.deepcopy(audit_document), "second": "some/siglip", "method": "n"}
    for own in asked["groups"].values():
        own |= {"accepted_second": 0.25, "kept_accepted_second": None}
    text = audit_synthetic.page("toy", [audit_document, asked])
    assert "## A second scorer" in text
    assert "| n | any | a | some/siglip | 0.500 | 0.250 | – |" in text
    assert "| m | any | a | some/siglip" not in text
