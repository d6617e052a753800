//! Signing where a tenant's key is: the daemon says what is to be signed, and never sees the key.

use crate::{context::Context, report::Report};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::{Deed, Draft, pem};
use cofferdam_model::{
    AppName, Problem, Result,
    api::{DeedAct, DeedAnswer, NewDeed},
};
use cofferdam_vault::SigningKey;
use std::{fs::File, path::Path};

/// A tenant's private key, out of a PEM file.
///
/// # Errors
/// `invalid` or `missing` where there is none.
pub(crate) fn key(file: &Path) -> Result<SigningKey> {
    let opened = File::open(file).map_err(|error| {
        Problem::missing(format!("cannot open the key {}: {error}", file.display()))
            .remedy("make one with: openssl genpkey -algorithm ed25519 -out FILE")
    })?;
    pem::read_private(opened).map_err(|problem| problem.context(file.display()))
}

/// Has the daemon do what the tenant signs here; answers with what was signed, none where nothing had to be.
///
/// # Errors
/// `conflict` where the daemon asks for a signature under something else; as the daemon answers.
pub(crate) fn act(context: &Context, file: &Path, act: DeedAct) -> Result<Option<Deed>> {
    let key = key(file)?;
    let ask = |deed| {
        let new = NewDeed {
            act: act.clone(),
            deed,
        };
        context.daemon.post::<DeedAnswer>("/v1/deeds", &new)
    };
    let DeedAnswer::Sign(text) = ask(None)? else {
        return Ok(None);
    };
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| Problem::invalid("what the daemon wants signed is no base64"))?;
    let draft = Draft::parse(&bytes)?;
    is_what_was_asked(draft.deed(), &act)?;
    let signed = draft.sign(&key)?;
    match ask(Some(STANDARD.encode(signed.bytes())))? {
        DeedAnswer::Done => Ok(Some(draft.deed().clone())),
        DeedAnswer::Sign(_) => Err(
            Problem::conflict("the daemon wants something else signed than before")
                .remedy("somebody changed the volume meanwhile: do it again"),
        ),
    }
}

/// A daemon that lies must not get a signature under what nobody asked for.
fn is_what_was_asked(deed: &Deed, act: &DeedAct) -> Result<()> {
    let granted = |app: &AppName| deed.grants().iter().find(|grant| grant.app == *app);
    let fits = deed.name() == act.volume()
        && match act {
            DeedAct::Create(new) => {
                deed.version() == 1 && deed.grants().is_empty() && deed.access() == new.access
            }
            DeedAct::Grant(wanted) => granted(&wanted.app).is_some_and(|grant| {
                (grant.write, grant.exec, grant.until) == (wanted.write, wanted.exec, wanted.until)
            }),
            DeedAct::Revoke { app, .. } => granted(app).is_none(),
        };
    if fits {
        return Ok(());
    }
    Err(Problem::conflict(format!(
        "the daemon wants a deed of {} signed that is not what was asked for; nothing was signed",
        deed.name()
    ))
    .remedy("look who can change that host, before you sign anything for it"))
}

/// With a note of all that the deed now says, since the daemon alone knew what it said before.
pub(crate) fn told(report: Report, deed: Option<&Deed>) -> Report {
    let Some(deed) = deed else {
        return report.note("nothing had to be signed");
    };
    let report = report.note(format_args!(
        "signed version {} of the deed of {}",
        deed.version(),
        deed.name()
    ));
    let report = deed.grants().iter().fold(report, |report, grant| {
        let may = match (grant.write, grant.exec) {
            (true, true) => "read, write and exec",
            (true, false) => "read and write",
            (false, true) => "read and exec",
            (false, false) => "read",
        };
        let image = grant.rule.image.short();
        let until = grant
            .until
            .map_or(String::new(), |until| format!(" until {until:.0}"));
        report.note(format_args!(
            "  {} (image {image}) may {may} it{until}",
            grant.app
        ))
    });
    deed.recipients().iter().fold(report, |report, recipient| {
        report.note(format_args!("  its key is wrapped for {recipient}"))
    })
}
