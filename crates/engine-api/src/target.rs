//! A request's path and query, as Docker's router takes them (gorilla/mux over Go's `net/url`).
//!
//! Go takes the path out of a whole URI as well, decodes it once, and routes by what comes of it. A path with an empty part, `.` or
//! `..` is answered with its clean form, and nothing is done: so one that arrives here is refused.

use crate::json::shown;
use cofferdam_model::{Problem, Result};

/// The first minor version of the API in which what starts a container does not describe it any more.
const OLDEST: u16 = 24;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// It names a version of the API from before 1.24, or something that is no version.
    pub(crate) old: bool,
    /// The parts of its path, without the version.
    pub(crate) parts: Vec<String>,
    /// The names in its query that have a value, and those values.
    query: Vec<(String, String)>,
}

impl Target {
    /// Parses a request's URI, as it was sent.
    ///
    /// # Errors
    /// `invalid` for what Docker would not route, and what it would answer with another path.
    pub(crate) fn parse(uri: &str) -> Result<Self> {
        let unclear = || Problem::invalid(format!("its path {} is not written plainly", shown(uri)));
        let (place, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = decoded(path_of(place).ok_or_else(unclear)?.as_bytes(), false).ok_or_else(unclear)?;
        let path = path.strip_prefix('/').ok_or_else(unclear)?;
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        let before_last = parts.len().saturating_sub(1);
        let blurred = |(at, part): (usize, &String)| {
            part == "." || part == ".." || (part.is_empty() && at < before_last)
        };
        if parts.iter().enumerate().any(blurred) {
            return Err(unclear());
        }
        let version = parts.first().and_then(|part| version(part)).map(str::to_owned);
        if version.is_some() {
            parts.remove(0);
        }
        Ok(Target {
            old: version.is_some_and(|version| is_old(&version)),
            parts,
            query: pairs(query),
        })
    }

    /// The value of a name in the query; empty where it is not there.
    pub(crate) fn asked(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(other, _)| other == name);
        pair.map_or("", |(_, value)| value)
    }
}

/// The path of a URI, which may begin with a scheme and a host.
fn path_of(place: &str) -> Option<&str> {
    if place.starts_with('/') {
        return Some(place);
    }
    let (_, rest) = place.split_once(':')?;
    match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)),
        None => rest.starts_with('/').then_some(rest),
    }
}

/// What Docker's router takes for a version: `v[0-9.]+`.
fn version(part: &str) -> Option<&str> {
    let digits = part.strip_prefix('v')?;
    let fits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    fits.then_some(digits)
}

fn is_old(version: &str) -> bool {
    let minor = version
        .strip_prefix("1.")
        .and_then(|minor| minor.parse::<u16>().ok());
    minor.is_none_or(|minor| minor < OLDEST)
}

/// Engines differ on whether a semicolon ends a pair.
fn pairs(query: &str) -> Vec<(String, String)> {
    let text = |part: &str| decoded(part.as_bytes(), true).unwrap_or_else(|| part.to_owned());
    query
        .split(['&', ';'])
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (!value.is_empty()).then(|| (text(name), text(value)))
        })
        .collect()
}

/// Percent-decoded, once; none where it is not rightly encoded.
fn decoded(text: &[u8], plus_is_space: bool) -> Option<String> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            (b'%', _) => return None,
            (b'+', _) if plus_is_space => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str) -> Option<String> {
        Target::parse(uri).ok().map(|target| target.parts.join("|"))
    }

    #[test]
    fn every_way_of_writing_a_path_is_the_same_path() {
        for uri in [
            "/containers/create",
            "/v1.41/containers/create?name=x",
            "/v1.41/containers/create?x=/auth",
            "/containers%2Fcreate",
            "/v1.41/%63ontainers/creat%65",
            "/%76%31.41/containers/create",
            "http://docker/v1.41/containers/create",
            "http:///containers/create",
            "http:/containers/create",
            "unix://a:b@c/containers/create",
        ] {
            assert_eq!(parts(uri).as_deref(), Some("containers|create"), "{uri}");
        }
        assert_eq!(
            parts("/containers/a%2fb/start").as_deref(),
            Some("containers|a|b|start")
        );
        assert_eq!(
            parts("/containers/%2563reate").as_deref(),
            Some("containers|%63reate")
        );
        assert_eq!(parts("/networks/").as_deref(), Some("networks|"));
        assert_eq!(parts("/").as_deref(), Some(""));
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for uri in [
            "",
            "*",
            "//containers/create",
            "/containers//create",
            "/v1.41//containers/create",
            "/containers/%2Fcreate",
            "/x/../containers/create",
            "/containers/./create",
            "/containers/%2e%2e/containers/create",
            "/containers/create%",
            "/containers/%zzcreate",
            "containers/create",
            "http:containers/create",
            "http://containers",
        ] {
            assert_eq!(parts(uri), None, "{uri}");
        }
    }

    #[test]
    fn versions_before_1_24_are_old_and_so_is_what_is_none() {
        for (uri, old) in [
            ("/v1.24/x", false),
            ("/v1.55/x", false),
            ("/x", false),
            ("/v1.23/x", true),
            ("/v1.9/x", true),
            ("/v1./x", true),
            ("/v1.24.0/x", true),
            ("/v2.0/x", true),
            ("/v1.99999999999999999999/x", true),
            ("/v./x", true),
        ] {
            let target = Target::parse(uri).unwrap();
            assert_eq!(
                (target.old, target.parts.join("")),
                (old, "x".to_owned()),
                "{uri}"
            );
        }
        assert_eq!(parts("/v1x/y").as_deref(), Some("v1x|y"));
    }

    #[test]
    fn the_query_is_decoded() {
        let target = Target::parse("/x?a=1&checkpoint%2Ddir=%2Fetc;b=+&c=&a=2&d").unwrap();
        assert_eq!(target.asked("checkpoint-dir"), "/etc");
        assert_eq!((target.asked("a"), target.asked("b")), ("1", " "));
        assert_eq!((target.asked("c"), target.asked("d")), ("", ""));
    }
}
