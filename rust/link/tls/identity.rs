//! Reads as much of a certificate as is needed to tell whom it names. Whether that is true is not
//! for this file to say: it is asked after the certificate was verified.

/// Tags of DER, the encoding that certificates are written in.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const BOOLEAN: u8 = 1;
/// How the extension with other names than the subject's begins.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// Whom a certificate names: its subject and its alternative names, as they are written in it. A
/// renewed certificate names the same.
pub(super) fn of(certificate: &[u8]) -> Option<Vec<u8>> {
    let named = Named::read(certificate)?;
    Some([named.subject, named.alternatives].concat())
}

/// Whether whoever it names has issued it too.
pub(super) fn is_self_signed(certificate: &[u8]) -> bool {
    Named::read(certificate).is_some_and(|named| named.issuer == named.subject)
}

struct Named<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    alternatives: &'a [u8],
}

impl<'a> Named<'a> {
    fn read(certificate: &'a [u8]) -> Option<Self> {
        let (signed, _) = Value::read(certificate)?;
        let (facts, _) = Value::read(signed.content)?;
        let mut rest = facts.content;
        let mut next = || {
            let (value, behind) = Value::read(rest)?;
            rest = behind;
            Some(value)
        };
        let first = next()?;
        let _serial = if first.tag == VERSION { next()? } else { first };
        let _algorithm = next()?;
        let issuer = next()?.whole;
        let _validity = next()?;
        let subject = next()?.whole;
        let mut alternatives = &[][..];
        while let Some(value) = next() {
            if value.tag == EXTENSIONS {
                alternatives = alternative_names(Value::read(value.content)?.0.content)?;
            }
        }
        Some(Self { issuer, subject, alternatives })
    }
}

fn alternative_names(mut list: &[u8]) -> Option<&[u8]> {
    while !list.is_empty() {
        let (extension, behind) = Value::read(list)?;
        list = behind;
        let (kind, rest) = Value::read(extension.content)?;
        if kind.content == ALTERNATIVE_NAMES {
            let (value, behind) = Value::read(rest)?;
            // It may say first whether it is critical.
            let value = if value.tag == BOOLEAN { Value::read(behind)?.0 } else { value };
            return Some(value.content);
        }
    }
    Some(&[])
}

/// A tag and what belongs to it.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The first value, and what follows it.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, length, head) = match *bytes {
            [tag, length, ..] if length < 0x80 => (tag, usize::from(length), 2),
            [tag, 0x81, length, ..] => (tag, usize::from(length), 3),
            [tag, 0x82, high, low, ..] => (tag, usize::from(high) << 8 | usize::from(low), 4),
            [tag, 0x83, a, b, c, ..] => {
                (tag, usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c), 5)
            }
            _ => return None,
        };
        let whole = bytes.get(..head + length)?;
        let content = whole.get(head..)?;
        Some((Self { tag, content, whole }, bytes.get(head + length..)?))
    }
}
