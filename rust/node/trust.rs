use crate::hub::{Identity, Pickles};
use crate::link::{Link, Trust};

/// Whether pickles from the other end of a link are read. It may have `proven` that it knows the
/// token, and somebody may have `said` whether they are.
pub(super) fn pickles(trust: Trust, proven: bool, said: Option<bool>) -> Pickles {
    match (trust, said) {
        (Trust::Never, _) => Pickles::Never,
        (_, Some(false)) => Pickles::Off,
        (_, Some(true)) | (Trust::Near | Trust::Proven, None) => Pickles::Read,
        (Trust::Far, None) if proven => Pickles::Read,
        (Trust::Far, None) => Pickles::Unproven,
    }
}

/// Who the other end of a link has proven to be. A certificate says more than a token, which all
/// have in common.
pub(super) fn identity(link: &dyn Link, proven: bool) -> Identity {
    match link.identity() {
        Some(identity) => Identity::Certificate(identity),
        None if proven => Identity::Token,
        None => Identity::Nobody,
    }
}
