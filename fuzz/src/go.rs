//! A command line as runc parses it: Go's `flag` package, which urfave/cli v1 asks for the global options and for a command's own.

/// An option that takes no value, by runc's and crun's help.
const BOOLEANS: [&str; 22] = [
    "debug",
    "systemd-cgroup",
    "help",
    "h",
    "version",
    "v",
    "no-pivot",
    "no-new-keyring",
    "no-subreaper",
    "detach",
    "d",
    "keep",
    "tty",
    "t",
    "no-new-privs",
    "ignore-paused",
    "i",
    "tcp-established",
    "ext-unix-sk",
    "shell-job",
    "file-locks",
    "lazy-pages",
];

/// The options at the front of `arguments`, and what follows them; none where Go refuses.
fn take<'a>(arguments: &'a [String], more: &[&str]) -> Option<(Vec<(String, String)>, &'a [String])> {
    let mut taken = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        if argument.len() < 2 || !argument.starts_with('-') {
            break;
        }
        at += 1;
        if argument == "--" {
            break;
        }
        let body = argument.strip_prefix("--").unwrap_or(&argument[1..]);
        if body.is_empty() || body.starts_with(['-', '=']) {
            return None;
        }
        match body.split_once('=') {
            Some((name, value)) => taken.push((name.to_owned(), value.to_owned())),
            None if BOOLEANS.contains(&body) || more.contains(&body) => {
                taken.push((body.to_owned(), String::new()))
            }
            None => {
                taken.push((body.to_owned(), arguments.get(at)?.clone()));
                at += 1;
            }
        }
    }
    Some((taken, &arguments[at..]))
}

/// What runc would do.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The verb.
    pub verb: String,
    /// The bundle, where one is named.
    pub bundle: Option<String>,
    /// The file with the process, where one is named.
    pub process: Option<String>,
    /// What follows the verb's options.
    pub rest: Vec<String>,
}

/// Parses it; none where there is no verb, or Go would refuse it.
pub fn parse(arguments: &[String]) -> Option<Line> {
    let (_, rest) = take(arguments, &[])?;
    let [verb, rest @ ..] = rest else { return None };
    let (options, rest) = take(rest, &["auto-dedup", "tcp-close", "no-subreaper-reap"])?;
    let value = |names: [&str; 2]| {
        let found = options
            .iter()
            .rev()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.clone())
    };
    Some(Line {
        verb: verb.clone(),
        bundle: value(["bundle", "b"]),
        process: value(["process", "p"]),
        rest: rest.to_vec(),
    })
}
