//! The command line that an engine gives an OCI runtime: global options, a verb, the verb's options, the container.
//!
//! Only what has to be understood is parsed, and that strictly: an option that is not known might take a value, and
//! what follows would be misread. Both runc and crun are spoken, with one or two dashes, `--name value` or
//! `--name=value`.

use cofferdam_model::{ContainerId, Problem, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Our own option, which must come first: another settings file.
const OWN_OPTION: &str = "--cofferdam-config";

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
}

/// The options before the verb, of runc 1.x and crun 1.x.
const GLOBAL: [(&str, Takes); 13] = [
    ("debug", Takes::Nothing),
    ("systemd-cgroup", Takes::Nothing),
    ("help", Takes::Nothing),
    ("h", Takes::Nothing),
    ("version", Takes::Nothing),
    ("v", Takes::Nothing),
    ("log", Takes::Value),
    ("log-format", Takes::Value),
    ("log-level", Takes::Value),
    ("root", Takes::Value),
    ("criu", Takes::Value),
    ("rootless", Takes::Value),
    ("cgroup-manager", Takes::Value),
];

/// The options of `create` and `run`. crun's `--config` is left out: it would name another config.json than the bundle's.
const CREATE: [(&str, Takes); 13] = [
    ("bundle", Takes::Value),
    ("b", Takes::Value),
    ("console-socket", Takes::Value),
    ("pid-file", Takes::Value),
    ("pidfd-socket", Takes::Value),
    ("preserve-fds", Takes::Value),
    ("no-pivot", Takes::Nothing),
    ("no-new-keyring", Takes::Nothing),
    ("no-subreaper", Takes::Nothing),
    ("no-subreaper-reap", Takes::Nothing),
    ("keep", Takes::Nothing),
    ("detach", Takes::Nothing),
    ("d", Takes::Nothing),
];

/// The options of `restore`.
const RESTORE: [(&str, Takes); 26] = [
    ("bundle", Takes::Value),
    ("b", Takes::Value),
    ("console-socket", Takes::Value),
    ("pid-file", Takes::Value),
    ("image-path", Takes::Value),
    ("work-path", Takes::Value),
    ("parent-path", Takes::Value),
    ("manage-cgroups-mode", Takes::Value),
    ("status-fd", Takes::Value),
    ("empty-ns", Takes::Value),
    ("lsm-profile", Takes::Value),
    ("lsm-mount-context", Takes::Value),
    ("preserve-fds", Takes::Value),
    ("tcp-established", Takes::Nothing),
    ("ext-unix-sk", Takes::Nothing),
    ("shell-job", Takes::Nothing),
    ("file-locks", Takes::Nothing),
    ("lazy-pages", Takes::Nothing),
    ("auto-dedup", Takes::Nothing),
    ("no-subreaper", Takes::Nothing),
    ("no-pivot", Takes::Nothing),
    ("no-new-keyring", Takes::Nothing),
    ("keep", Takes::Nothing),
    ("detach", Takes::Nothing),
    ("d", Takes::Nothing),
    ("tcp-close", Takes::Nothing),
];

/// The options of `exec` in a container that holds a volume.
const EXEC: [(&str, Takes); 26] = [
    ("process", Takes::Value),
    ("p", Takes::Value),
    ("console-socket", Takes::Value),
    ("pid-file", Takes::Value),
    ("pidfd-socket", Takes::Value),
    ("preserve-fds", Takes::Value),
    ("process-label", Takes::Value),
    ("apparmor", Takes::Value),
    ("cwd", Takes::Value),
    ("env", Takes::Value),
    ("e", Takes::Value),
    ("user", Takes::Value),
    ("u", Takes::Value),
    ("additional-gids", Takes::Value),
    ("g", Takes::Value),
    ("cap", Takes::Value),
    ("c", Takes::Value),
    ("cgroup", Takes::Value),
    ("tty", Takes::Nothing),
    ("t", Takes::Nothing),
    ("detach", Takes::Nothing),
    ("d", Takes::Nothing),
    ("no-new-privs", Takes::Nothing),
    ("ignore-paused", Takes::Nothing),
    ("i", Takes::Nothing),
    ("no-subreaper", Takes::Nothing),
];

/// What an engine asked for, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// Our own settings file, where one is named.
    pub(crate) settings: Option<PathBuf>,
    /// The runtime's state directory, where one is named.
    pub(crate) root: Option<PathBuf>,
    /// The engine's log file, where one is named.
    pub(crate) log: Option<PathBuf>,
    /// Its format.
    pub(crate) log_json: bool,
    /// The verb; none for `--version` and its like.
    pub(crate) verb: Option<String>,
    /// All that follows the verb.
    pub(crate) rest: Vec<OsString>,
}

impl Invocation {
    /// Parses everything up to the verb.
    ///
    /// # Errors
    /// `invalid` for a global option that is not known.
    pub(crate) fn parse(given: &[OsString]) -> Result<Self> {
        let mut invocation = Invocation::default();
        if given.first().is_some_and(|first| first == OWN_OPTION) {
            let file = given
                .get(1)
                .ok_or_else(|| Problem::invalid(format!("{OWN_OPTION} needs a file")))?;
            invocation.settings = Some(file.into());
        }
        let (options, rest) = take_options(Self::forwarded(given), &GLOBAL, "before the verb")?;
        for (name, value) in options {
            match (name, value) {
                ("root", Some(value)) => invocation.root = Some(value.into()),
                ("log", Some(value)) => invocation.log = Some(value.into()),
                ("log-format", Some(value)) => invocation.log_json = value == "json",
                _ => {}
            }
        }
        let mut rest = rest.iter();
        invocation.verb = rest.next().map(|verb| verb.to_string_lossy().into_owned());
        invocation.rest = rest.cloned().collect();
        Ok(invocation)
    }

    /// What goes on to the real runtime: everything but our own option.
    pub(crate) fn forwarded(given: &[OsString]) -> &[OsString] {
        match given {
            [first, _, rest @ ..] if first == OWN_OPTION => rest,
            all => all,
        }
    }

    /// `create` and `run`: the bundle (the working directory where none is named) and the container.
    ///
    /// # Errors
    /// `invalid` for an option that is not known, or anything but one container id.
    pub(crate) fn create(&self) -> Result<(PathBuf, ContainerId)> {
        self.bundle_and_container("create", &CREATE)
    }

    /// `restore`: the same.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub(crate) fn restore(&self) -> Result<(PathBuf, ContainerId)> {
        self.bundle_and_container("restore", &RESTORE)
    }

    fn bundle_and_container(
        &self,
        verb: &str,
        known: &[(&'static str, Takes)],
    ) -> Result<(PathBuf, ContainerId)> {
        let (options, rest) = take_options(&self.rest, known, &format!("of {verb}"))?;
        let bundle = options.iter().rev().find_map(|(name, value)| {
            matches!(*name, "bundle" | "b")
                .then_some(value.as_ref())
                .flatten()
        });
        let [container] = rest else {
            return Err(Problem::invalid(format!(
                "{verb} takes one container id, not {}",
                rest.len()
            )));
        };
        Ok((
            bundle.map_or_else(|| PathBuf::from("."), PathBuf::from),
            container_id(container)?,
        ))
    }

    /// `exec` in a container that holds a volume: the file with the process, where one is named.
    ///
    /// # Errors
    /// `invalid` for an option that is not known.
    pub(crate) fn exec_process(&self) -> Result<Option<PathBuf>> {
        let (options, _) = take_options(&self.rest, &EXEC, "of exec")?;
        let process = options.iter().rev().find_map(|(name, value)| {
            matches!(*name, "process" | "p")
                .then_some(value.as_ref())
                .flatten()
        });
        Ok(process.map(PathBuf::from))
    }

    /// `exec` with everything in options: the capabilities that it adds.
    ///
    /// # Errors
    /// `invalid` for an option that is not known.
    pub(crate) fn exec_capabilities(&self) -> Result<Vec<String>> {
        let (options, _) = take_options(&self.rest, &EXEC, "of exec")?;
        let values = options
            .into_iter()
            .filter(|(name, _)| matches!(*name, "cap" | "c"))
            .filter_map(|(_, value)| value);
        Ok(values.map(|value| value.to_string_lossy().into_owned()).collect())
    }

    /// Everything after the verb that could be a container's id.
    pub(crate) fn possible_containers(&self) -> impl Iterator<Item = ContainerId> {
        self.rest
            .iter()
            .filter_map(|argument| container_id(argument).ok())
    }
}

fn container_id(argument: &OsStr) -> Result<ContainerId> {
    argument
        .to_str()
        .ok_or_else(|| Problem::invalid("a container id is not UTF-8"))?
        .parse()
}

/// Options by name with their values, in order, and what comes after them.
type Taken<'a> = (Vec<(&'static str, Option<OsString>)>, &'a [OsString]);

/// Takes options off the front of `arguments` until the first that is none.
fn take_options<'a>(
    arguments: &'a [OsString],
    known: &[(&'static str, Takes)],
    place: &str,
) -> Result<Taken<'a>> {
    let mut taken = Vec::new();
    let mut rest = arguments;
    while let [argument, after @ ..] = rest {
        let bytes = argument.as_bytes();
        let Some(body) = bytes
            .strip_prefix(b"--")
            .or_else(|| bytes.strip_prefix(b"-"))
            .filter(|body| bytes != b"-" || !body.is_empty())
        else {
            break;
        };
        rest = after;
        if body.is_empty() {
            break; // "--": the end of the options.
        }
        let mut halves = body.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        let joined = halves.next().map(|value| OsStr::from_bytes(value).to_owned());
        let Some((name, takes)) = known.iter().find(|(known, _)| known.as_bytes() == name) else {
            let shown = argument
                .to_string_lossy()
                .escape_debug()
                .take(80)
                .collect::<String>();
            return Err(Problem::invalid(format!(
                "cofferdam-runtime does not know the option {shown} {place}"
            ))
            .remedy("a newer engine may need a newer Cofferdam"));
        };
        let value = match (takes, joined) {
            (Takes::Nothing, value) => value,
            (Takes::Value, Some(value)) => Some(value),
            (Takes::Value, None) => {
                let [value, after @ ..] = rest else {
                    return Err(Problem::invalid(format!(
                        "the option --{name} {place} needs a value"
                    )));
                };
                rest = after;
                Some(value.clone())
            }
        };
        taken.push((*name, value));
    }
    Ok((taken, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Invocation> {
        Invocation::parse(&words(line))
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn dockers_own_command_line() {
        let line = "--root /var/run/docker/runtime-runc/moby --log /run/c/log.json --log-format json --systemd-cgroup \
            create --bundle /run/c/3f2a --pid-file /run/c/3f2a/init.pid 3f2a";
        let invocation = parse(line).unwrap();
        assert_eq!(invocation.verb.as_deref(), Some("create"));
        assert_eq!(
            invocation.root.as_deref(),
            Some("/var/run/docker/runtime-runc/moby".as_ref())
        );
        assert!(invocation.log_json);
        assert_eq!(
            invocation.create().unwrap(),
            ("/run/c/3f2a".into(), "3f2a".parse().unwrap())
        );
    }

    #[test]
    fn podmans_and_hand_written_ones() {
        let (bundle, container) = parse("--log-format=json -root=/r create -b=/x -no-pivot a1")
            .unwrap()
            .create()
            .unwrap();
        assert_eq!((bundle, container), ("/x".into(), "a1".parse().unwrap()));
        let (bundle, _) = parse("create --bundle /a --bundle /b a1")
            .unwrap()
            .create()
            .unwrap();
        assert_eq!(bundle, PathBuf::from("/b"));
        assert_eq!(parse("run a1").unwrap().create().unwrap().0, PathBuf::from("."));
        assert_eq!(parse("--version").unwrap().verb, None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(parse("--config /tmp/x create a1").is_err());
        assert!(parse("--root").is_err());
        assert!(parse("create --config /tmp/x a1").unwrap().create().is_err());
        assert!(parse("create -f /tmp/x a1").unwrap().create().is_err());
        for line in ["create", "create a b", "create ../x", "create --bundle"] {
            assert!(parse(line).unwrap().create().is_err(), "{line}");
        }
    }

    #[test]
    fn our_own_option_goes_no_further() {
        let given = words("--cofferdam-config /etc/x.toml --root /r state a1");
        let invocation = Invocation::parse(&given).unwrap();
        assert_eq!(invocation.settings.as_deref(), Some("/etc/x.toml".as_ref()));
        assert_eq!(Invocation::forwarded(&given), words("--root /r state a1"));
        assert!(Invocation::parse(&words("--cofferdam-config")).is_err());
    }

    #[test]
    fn exec_names_its_process_and_its_container() {
        let invocation = parse("exec --process /tmp/p --detach --pid-file /x 3f2a").unwrap();
        assert_eq!(invocation.exec_process().unwrap(), Some("/tmp/p".into()));
        assert!(invocation.possible_containers().any(|id| id.as_str() == "3f2a"));
        assert_eq!(
            parse("exec -t -u 0 3f2a sh -c x")
                .unwrap()
                .exec_process()
                .unwrap(),
            None
        );
        assert!(parse("exec --unknown 3f2a").unwrap().exec_process().is_err());
    }

    #[test]
    fn restore_names_its_bundle() {
        let restored = |line: &str| parse(line).unwrap().restore();
        let bundle = |line: &str| restored(line).unwrap().0;
        assert_eq!(
            bundle("restore --work-path /w --bundle /b --detach a1"),
            PathBuf::from("/b")
        );
        assert_eq!(bundle("restore -b=/c a1"), PathBuf::from("/c"));
        assert_eq!(bundle("restore a1"), PathBuf::from("."));
        // The value of another option is not taken for it.
        assert_eq!(bundle("restore --work-path --bundle a1"), PathBuf::from("."));
        for line in [
            "restore --work-path --bundle /x a1",
            "restore --unknown a1",
            "restore",
        ] {
            assert!(restored(line).is_err(), "{line}");
        }
    }
}
