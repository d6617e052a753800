//! age plugins: programs named `age-plugin-NAME` that wrap and unwrap file keys for recipients of their own.
//!
//! A plugin is found on the `PATH` of this process and sees file keys, so it is trusted like this process: the unit
//! that starts the daemon is to set `PATH`. Nobody answers a plugin that asks for a PIN or for a touch to be confirmed.
//!
//! Each call runs on a thread of its own, for age does not wait for the program that it starts. The children of that
//! thread are known, so they can be collected without those of anybody else.
//!
//! What this does not do: end a plugin that does not answer. The call then waits as long as the plugin does.

use age::plugin::{self, IdentityPluginV1, RecipientPluginV1, ResolveError};
use age::{DecryptError, EncryptError, Identity as _, NoCallbacks, Recipient as _};
use age_core::format::{FileKey, Stanza};
use cofferdam_model::{Problem, Result};
use rustix::process::WaitOptions;
use std::collections::HashSet;
use std::fmt;
use std::thread;
use std::time::Duration;

/// Waiting for the children of this thread only (`__WNOTHREAD` in waitpid(2)).
const OWN_CHILDREN: WaitOptions = WaitOptions::from_bits_retain(0x2000_0000);

/// How often, and with what pause, it is looked whether a plugin that has answered has ended.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// The copies that a plugin makes for one of its recipients, and their labels.
///
/// # Errors
/// `unavailable` where there is no such plugin, or it says no.
pub(crate) fn wrap(
    recipient: &plugin::Recipient,
    file_key: &FileKey,
) -> Result<(Vec<Stanza>, HashSet<String>)> {
    let name = recipient.plugin();
    apart(|| {
        RecipientPluginV1::new(name, std::slice::from_ref(recipient), &[], NoCallbacks)
            .map_err(EncryptError::PluginResolve)?
            .wrap_file_key(file_key)
    })?
    .map_err(|error| match error {
        EncryptError::PluginResolve(error) => unresolved(name, &error),
        EncryptError::Plugin(said) => refused(name, &said),
        error => broken(name, &error),
    })
}

/// The file key, by one identity of a plugin. None where no copy is for it.
///
/// # Errors
/// As [`wrap`].
pub(crate) fn unwrap(identity: &plugin::Identity, stanzas: &[Stanza]) -> Result<Option<FileKey>> {
    let name = identity.plugin();
    apart(|| {
        IdentityPluginV1::new(name, std::slice::from_ref(identity), NoCallbacks)
            .map_err(DecryptError::PluginResolve)?
            .unwrap_stanzas(stanzas)
            .transpose()
    })?
    .map_err(|error| match error {
        DecryptError::PluginResolve(error) => unresolved(name, &error),
        DecryptError::Plugin(said) => refused(name, &said),
        error => broken(name, &error),
    })
}

/// Runs `work` on a thread of its own and collects the programs that it started.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    refuse_debugging()?;
    thread::scope(|scope| {
        let started = thread::Builder::new().spawn_scoped(scope, || {
            let result = work();
            collect();
            result
        });
        let running = started.map_err(|error| Problem::unavailable(format!("starting a thread: {error}")))?;
        running
            .join()
            .map_err(|_| Problem::internal("the thread that served an age plugin failed"))
    })
}

/// Waits for the children of this thread; a plugin ends when it finds that nobody talks to it any more.
fn collect() {
    for _ in 0..LOOKS {
        match rustix::process::wait(OWN_CHILDREN | WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}

/// With this variable, age writes file keys to the standard error, and so into the journal.
fn refuse_debugging() -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "no setting of ours: age obeys this variable, whoever set it"
    )]
    let debugging = std::env::var_os("AGEDEBUG").is_some();
    if debugging {
        return Err(
            Problem::denied("with AGEDEBUG in the environment, age would write keys to the log")
                .remedy("unset AGEDEBUG and start this again"),
        );
    }
    Ok(())
}

fn unresolved(name: &str, error: &ResolveError) -> Problem {
    match error {
        ResolveError::MissingPlugin { .. } => {
            Problem::unavailable(format!("the age plugin {name} is not installed on this host")).remedy(
                format!("put the program age-plugin-{name} on the PATH of cofferdamd"),
            )
        }
        _ => Problem::invalid(format!("{name} cannot be the name of an age plugin")),
    }
}

fn refused(name: &str, said: &[impl fmt::Display]) -> Problem {
    let said: Vec<String> = said.iter().map(|error| plain(&error.to_string())).collect();
    Problem::unavailable(format!("age-plugin-{name} refuses: {}", said.join("; ")))
        .remedy("see to the device that this plugin serves, then try again")
}

fn broken(name: &str, error: &dyn std::error::Error) -> Problem {
    let cause = error
        .source()
        .map_or("it broke the protocol".to_owned(), ToString::to_string);
    Problem::unavailable(format!("age-plugin-{name} failed: {}", plain(&cause))).remedy(format!(
        "run age with this recipient to see whether age-plugin-{name} works"
    ))
}

/// One line without the marks that age puts around what it inserts (U+2068, U+2069).
fn plain(text: &str) -> String {
    text.replace(['\u{2068}', '\u{2069}'], "")
        .replace(char::is_control, " ")
}
