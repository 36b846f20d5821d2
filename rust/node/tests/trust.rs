//! Whose pickles are read.

use crate::hub::Pickles::{self, Never, Off, Read, Unproven};
use crate::link::Trust;
use crate::node::trust::pickles;

/// For who has said nothing, yes, and no.
fn said(trust: Trust, proven: bool) -> [Pickles; 3] {
    [None, Some(true), Some(false)].map(|said| pickles(trust, proven, said))
}

#[test]
fn who_is_near_or_has_proven_something_is_trusted_unless_somebody_says_otherwise() {
    for (trust, proven, expected) in [
        (Trust::Near, false, [Read, Read, Off]),
        (Trust::Near, true, [Read, Read, Off]),
        (Trust::Far, false, [Unproven, Read, Off]),
        (Trust::Far, true, [Read, Read, Off]),
        (Trust::Proven, false, [Read, Read, Off]),
        (Trust::Never, false, [Never, Never, Never]),
        (Trust::Never, true, [Never, Never, Never]),
    ] {
        assert_eq!(said(trust, proven), expected, "{trust:?} {proven}");
    }
}
