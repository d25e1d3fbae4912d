//! What an approval by an earlier yes is worth: as much as a click, and for no kind that moves money or rights.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use touchkeep_core::{Id, RequestId, UnixMillis};
use touchkeep_policy::{
    Approval, ApprovedBy, Asked, History, How, Mismatch, NeedsApproval, Policy, Verdict,
};
use touchkeep_venue::{Operation, OperationKind};

fn question(kind: OperationKind, action: &str) -> NeedsApproval {
    let text = format!("[[rule]]\nname = \"x\"\nkinds = [\"{kind}\"]\naction = \"{action}\"");
    let asked = Asked {
        request: RequestId::random(),
        digest: [7; 32],
        client: "bot".into(),
        key_set: "main".into(),
        operation: Operation::new(kind, "binance", "POST", "/x", "x"),
        now: UnixMillis(0),
    };
    match Policy::parse(&text)
        .unwrap()
        .decide(asked, &History::default())
    {
        Verdict::Ask(question) => question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_grant_is_enough_where_a_click_is_and_nowhere_else() {
    let by = ApprovedBy::Grant(Id::random());
    let yes = Approval {
        digest: [7; 32],
        by,
    };
    let trade = question(OperationKind::Trade, "approve");
    assert_eq!(trade.approve(yes).unwrap().how(), How::Approved(by));
    let other = Approval {
        digest: [8; 32],
        by,
    };
    let trade = question(OperationKind::Trade, "approve");
    assert_eq!(trade.approve(other).unwrap_err(), Mismatch::OtherRequest);
    let touched = question(OperationKind::Trade, "touch");
    assert_eq!(touched.approve(yes).unwrap_err(), Mismatch::NotTouched);
    for kind in OperationKind::ALL
        .into_iter()
        .filter(|kind| kind.is_dangerous())
    {
        let dangerous = question(kind, "touch");
        assert_eq!(
            dangerous.approve(yes).unwrap_err(),
            Mismatch::NotTouched,
            "{kind}"
        );
    }
}
