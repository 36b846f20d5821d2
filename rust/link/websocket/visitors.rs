use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest name that can be somebody's, in bytes.
const MAX_NAME: usize = 253;

/// Whose pages may come in, and by which names they may call the server.
///
/// A browser lets every page that somebody opens connect to every address that they can reach, and
/// says by `Origin` whose page it is. `Host` is the name that the page used: one that is not the
/// server's own may have been pointed at it by somebody else, whose page then looks like ours.
#[derive(Debug, Clone, Default)]
pub struct Visitors {
    /// Without a list: pages of the server's own addresses, from any port.
    origins: Option<Vec<OriginRule>>,
    /// Without a list: the server's own addresses, with its own port.
    hosts: Option<Vec<HostRule>>,
}

/// Where a server is, as somebody found it who has just connected.
#[derive(Debug, Clone, Copy)]
pub(in crate::link) struct Place<'a> {
    /// The name that it was told to listen on.
    pub(in crate::link) name: Option<&'a str>,
    /// The address that the connection arrived at; none for a Unix socket.
    pub(in crate::link) at: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub(in crate::link) secure: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum OriginRule {
    All,
    /// A page with no origin to speak of: a local file, a frame in a sandbox.
    Null,
    Is(Origin),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostRule {
    All,
    /// With every port, or with this one.
    Is(Name, Option<u16>),
}

/// Scheme, name and port.
type Origin = (String, Name, Option<u16>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Ip(IpAddr),
    Dns(String),
}

impl Visitors {
    /// Reads the lists. The error says what is wrong with an entry.
    pub fn new(origins: Option<&[String]>, hosts: Option<&[String]>) -> Result<Self, String> {
        let origins = origins.map(|list| list.iter().map(|text| OriginRule::read(text)).collect());
        let hosts = hosts.map(|list| list.iter().map(|text| HostRule::read(text)).collect());
        Ok(Self { origins: origins.transpose()?, hosts: hosts.transpose()? })
    }

    /// Whether a page of this origin may come in.
    pub(super) fn admits_origin(&self, header: &str, place: Place<'_>) -> bool {
        if header == "null" {
            let rules = self.origins.as_deref().unwrap_or_default();
            return rules.iter().any(|rule| matches!(rule, OriginRule::All | OriginRule::Null));
        }
        let Some(origin) = origin(header) else { return false };
        match &self.origins {
            Some(rules) => rules.iter().any(|rule| match rule {
                OriginRule::All => true,
                OriginRule::Null => false,
                OriginRule::Is(allowed) => *allowed == origin,
            }),
            // Whoever serves pages from there has another port than ours.
            None => matches!(origin.0.as_str(), "http" | "https") && place.has(&origin.1),
        }
    }

    /// Whether the server may be called so.
    pub(super) fn admits_host(&self, header: &str, place: Place<'_>) -> bool {
        let Some((name, port)) = authority(header) else { return false };
        let port = port.unwrap_or(if place.secure { 443 } else { 80 });
        match &self.hosts {
            Some(rules) => rules.iter().any(|rule| match rule {
                HostRule::All => true,
                HostRule::Is(allowed, any) => {
                    *allowed == name && any.is_none_or(|allowed| allowed == port)
                }
            }),
            None => place.has(&name) && place.at.is_none_or(|at| at.port() == port),
        }
    }
}

impl Place<'_> {
    /// Whether this is one of the addresses that the server listens on.
    fn has(self, name: &Name) -> bool {
        let at = self.at.map(|at| at.ip().to_canonical());
        let on_this_machine = at.is_none_or(|at| at.is_loopback());
        let told = self.name.and_then(self::name);
        match name {
            Name::Ip(ip) if ip.is_unspecified() => false,
            Name::Ip(ip) if Some(*ip) == at => true,
            Name::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST)) => {
                on_this_machine
            }
            Name::Dns(dns) if dns == "localhost" => on_this_machine,
            name => told.as_ref() == Some(name),
        }
    }
}

impl OriginRule {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::All),
            "null" => Ok(Self::Null),
            _ => origin(text).map(Self::Is).ok_or_else(|| {
                format!(
                    "allowed_origins: {text:?} is no origin; pass scheme://host or \
                     scheme://host:port, without a path, or \"*\" for everybody"
                )
            }),
        }
    }
}

impl HostRule {
    fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        let (name, port) = authority(text).ok_or_else(|| {
            format!(
                "allowed_hosts: {text:?} is no host; pass a name or an IP address (IPv6 in \
                 brackets), with :port or for every port without, or \"*\" for everybody"
            )
        })?;
        Ok(Self::Is(name, port))
    }
}

fn origin(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.split_once("://")?;
    let mut letters = scheme.chars();
    let follows = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !letters.next()?.is_ascii_alphabetic() || !letters.all(follows) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let (name, port) = authority(rest)?;
    let usual = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    Some((scheme, name, port.or(usual)))
}

/// A name and a port, where there is one. Nobody's login is in there.
fn authority(text: &str) -> Option<(Name, Option<u16>)> {
    let colon = if text.ends_with(']') { None } else { text.rfind(':') };
    let Some((host, port)) = colon.and_then(|at| text.split_at_checked(at)) else {
        return Some((host_name(text)?, None));
    };
    let digits = port.strip_prefix(':')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((host_name(host)?, Some(digits.parse().ok()?)))
}

/// A name as it stands in a URL: IPv6 in brackets.
fn host_name(text: &str) -> Option<Name> {
    match text.strip_prefix('[') {
        Some(rest) => {
            let ip: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
            Some(Name::Ip(ip.to_canonical()))
        }
        None if text.contains(':') => None,
        None => name(text),
    }
}

/// A name, or an address in its usual form. Browsers write the unusual ones (`127.1`, `0x7f.1`) as
/// the usual ones before they send them. A dot at the end makes another name of it.
fn name(text: &str) -> Option<Name> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(Name::Ip(ip.to_canonical()));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| !label.is_empty() && label.bytes().all(letter);
    let whole = text.len() <= MAX_NAME && text.split('.').all(label);
    whole.then(|| Name::Dns(text.to_ascii_lowercase()))
}
