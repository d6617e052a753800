//! Deeds that a tenant signs where its key is, and not on this host: first it is told what to sign, then it brings that.

use super::{grants, volumes};
use crate::daemon::Daemon;
use crate::sealed::Signer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::Draft;
use cofferdam_model::api::{DeedAct, DeedAnswer, NewDeed};
use cofferdam_model::{Problem, Result};

/// Says what is to be signed, or does what was signed.
///
/// # Errors
/// `corrupt` or `conflict` where the deed is not what was to be signed; whatever the act itself refuses.
pub(crate) fn act_by_deed(daemon: &Daemon, new: &NewDeed) -> Result<DeedAnswer> {
    match &new.deed {
        None => draft(daemon, &new.act),
        Some(text) => {
            let deed = STANDARD.decode(text).map_err(|_| {
                Problem::invalid("the signed deed is no base64").remedy("send the envelope as it was signed")
            })?;
            perform(daemon, &new.act, deed)
        }
    }
}

fn draft(daemon: &Daemon, act: &DeedAct) -> Result<DeedAnswer> {
    let bytes = match act {
        DeedAct::Create(new) => volumes::draft_volume(daemon, new)?,
        DeedAct::Grant(grant) => bytes(grants::draft_grant(daemon, grant)?),
        DeedAct::Revoke { volume, app } => bytes(grants::draft_revocation(daemon, volume, app)?),
    };
    match (bytes, act) {
        (Some(bytes), _) => Ok(DeedAnswer::Sign(STANDARD.encode(bytes))),
        (None, DeedAct::Create(_)) => Ok(DeedAnswer::Done),
        // The deed says so already, or there is none: what is left to do needs no signature.
        (None, _) => perform(daemon, act, Vec::new()),
    }
}

fn bytes(draft: Option<Draft>) -> Option<Vec<u8>> {
    draft.map(|draft| draft.bytes().to_vec())
}

fn perform(daemon: &Daemon, act: &DeedAct, deed: Vec<u8>) -> Result<DeedAnswer> {
    match act {
        DeedAct::Create(new) => drop(volumes::create_signed_volume(daemon, new, &deed)?),
        DeedAct::Grant(grant) => drop(grants::grant(daemon, grant, &Signer::Elsewhere(deed))?),
        DeedAct::Revoke { volume, app } => {
            drop(grants::revoke(
                daemon,
                volume,
                app,
                false,
                &Signer::Elsewhere(deed),
            )?);
        }
    }
    Ok(DeedAnswer::Done)
}
