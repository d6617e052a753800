//! Deeds that a tenant signs where its key is, and not on this host: first it is told what to sign, then it brings that.

use super::asker::Asker;
use super::{changes, grants, unsigned};
use crate::daemon::Daemon;
use crate::sealed::Signer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_model::api::{DeedAct, DeedAnswer, NewDeed};
use cofferdam_model::{Problem, Result};
use std::sync::Arc;

/// Says what is to be signed, or does what was signed.
///
/// # Errors
/// `corrupt` or `conflict` where the deed is not what was to be signed; whatever the act itself refuses.
pub(crate) fn act_by_deed(daemon: &Arc<Daemon>, asker: &Asker, new: &NewDeed) -> Result<DeedAnswer> {
    match &new.deed {
        None => draft(daemon, asker, &new.act),
        Some(text) => {
            let deed = STANDARD.decode(text).map_err(|_| {
                Problem::invalid("the signed deed is no base64").remedy("send the envelope as it was signed")
            })?;
            perform(daemon, asker, &new.act, deed)
        }
    }
}

fn draft(daemon: &Arc<Daemon>, asker: &Asker, act: &DeedAct) -> Result<DeedAnswer> {
    let (draft, current) = match act {
        DeedAct::Create(new) => match unsigned::draft_volume(daemon, new)? {
            Some(draft) => (draft, None),
            None => return Ok(DeedAnswer::Done),
        },
        DeedAct::Grant(grant) => match grants::draft_grant(daemon, grant)? {
            Some((draft, current)) => (draft.bytes().to_vec(), Some(current)),
            // The deed says so already, or there is none: what is left to do needs no signature.
            None => return perform(daemon, asker, act, Vec::new()),
        },
        DeedAct::Revoke { volume, app } => match grants::draft_revocation(daemon, volume, app)? {
            Some((draft, current)) => (draft.bytes().to_vec(), Some(current)),
            None => return perform(daemon, asker, act, Vec::new()),
        },
        DeedAct::Grow { volume, size } => match changes::draft_growth(daemon, volume, *size)? {
            Some((draft, current)) => (draft.bytes().to_vec(), Some(current)),
            None => return perform(daemon, asker, act, Vec::new()),
        },
    };
    Ok(DeedAnswer::Sign {
        draft: STANDARD.encode(draft),
        current: current.map(|current| STANDARD.encode(current.bytes())),
    })
}

fn perform(daemon: &Arc<Daemon>, asker: &Asker, act: &DeedAct, deed: Vec<u8>) -> Result<DeedAnswer> {
    match act {
        DeedAct::Create(new) => drop(unsigned::create_signed_volume(daemon, new, &deed)?),
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
        DeedAct::Grow { volume, size } => {
            let by = Signer::Elsewhere(deed);
            drop(changes::grow_volume(daemon, asker, volume, *size, &by)?);
        }
    }
    Ok(DeedAnswer::Done)
}
