//! `layerdb`: which directories an image's layers lie in, and which of them a container was made of.

use super::image::hash;
use crate::mounts::FileId;
use crate::state_tree::StateTree;
use cofferdam_model::{ContainerId, Problem, Result, Sha256};
use std::os::fd::{AsFd, OwnedFd};

/// More layers than Docker allows.
const LAYERS_MAX: usize = 256;

/// A container's layers, as they must be mounted.
#[derive(Debug)]
pub(super) struct Layers {
    /// The chain id of the image's layers (OCI image-spec, "Layer ChainID").
    pub(super) chain: Sha256,
    /// The image's layers, uppermost first.
    pub(super) image: Vec<OwnedFd>,
    /// All lower layers of the container, uppermost first: its init layer, then the image's.
    pub(super) lower: Vec<FileId>,
    /// The container's own layer.
    pub(super) upper: FileId,
    /// Where Docker mounts them.
    pub(super) merged: FileId,
}

/// The layers of `container`, which must be made of an image with these diff ids.
///
/// # Errors
/// `corrupt` where the container's layers are not the image's, or a layer is missing.
pub(super) fn read(state: &StateTree, container: &ContainerId, diff_ids: &[Sha256]) -> Result<Layers> {
    if diff_ids.is_empty() || diff_ids.len() > LAYERS_MAX {
        return Err(Problem::corrupt(format!(
            "the image has {} layers",
            diff_ids.len()
        )));
    }
    let chains = chain_ids(diff_ids);
    let chain = *chains
        .last()
        .ok_or_else(|| Problem::corrupt("the image has no layer"))?;
    let own = format!("image/overlay2/layerdb/mounts/{container}");
    if state.word(&format!("{own}/parent"))? != chain.to_string() {
        return Err(Problem::corrupt(
            "the container's root filesystem is made of other layers than its image",
        )
        .remedy("remove the container and make it anew"));
    }
    let mut image = Vec::new();
    for (chain, diff_id) in chains.iter().zip(diff_ids).rev() {
        image.push(layer(state, *chain, *diff_id)?);
    }
    let mount_id = mount_id(state, container)?;
    let init_id = directory_name(state, &format!("{own}/init-id"))?;
    let mut lower = vec![id_of(state, &format!("overlay2/{init_id}/diff"))?];
    for layer in &image {
        lower.push(FileId::behind(layer.as_fd())?);
    }
    let upper = id_of(state, &format!("overlay2/{mount_id}/diff"))?;
    let merged = id_of(state, &format!("overlay2/{mount_id}/merged"))?;
    Ok(Layers {
        chain,
        image,
        lower,
        upper,
        merged,
    })
}

/// The container's own layer, to be read.
///
/// # Errors
/// `corrupt` where it is missing.
pub(super) fn own(state: &StateTree, container: &ContainerId) -> Result<OwnedFd> {
    state.directory(&format!("overlay2/{}/diff", mount_id(state, container)?))
}

fn mount_id(state: &StateTree, container: &ContainerId) -> Result<String> {
    directory_name(
        state,
        &format!("image/overlay2/layerdb/mounts/{container}/mount-id"),
    )
}

/// The chain id of each layer with all below it, lowest first.
fn chain_ids(diff_ids: &[Sha256]) -> Vec<Sha256> {
    let mut chains: Vec<Sha256> = Vec::new();
    for diff_id in diff_ids {
        let chain = chains
            .last()
            .map_or(*diff_id, |below| hash(format!("{below} {diff_id}").as_bytes()));
        chains.push(chain);
    }
    chains
}

/// One layer's directory. Its content is not hashed again: it is root's, like the state that names it.
fn layer(state: &StateTree, chain: Sha256, diff_id: Sha256) -> Result<OwnedFd> {
    let place = format!("image/overlay2/layerdb/sha256/{}", chain.hex());
    if state.word(&format!("{place}/diff"))? != diff_id.to_string() {
        return Err(Problem::corrupt(format!(
            "{} is another layer than its place says",
            state.shown(&place)
        )));
    }
    let cache_id = directory_name(state, &format!("{place}/cache-id"))?;
    state.look(&format!("overlay2/{cache_id}/diff"))
}

/// The name of a directory below `overlay2`, as a state file gives it.
fn directory_name(state: &StateTree, place: &str) -> Result<String> {
    let name = state.word(place)?;
    let fits = !name.is_empty()
        && name.len() <= 128
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits {
        Ok(name)
    } else {
        Err(Problem::corrupt(format!(
            "{} does not name a directory",
            state.shown(place)
        )))
    }
}

fn id_of(state: &StateTree, place: &str) -> Result<FileId> {
    FileId::behind(state.look(place)?.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_folded_as_the_image_spec_says() {
        let one = hash(b"one");
        let two = hash(b"two");
        let chains = chain_ids(&[one, two]);
        assert_eq!(chains.first(), Some(&one));
        assert_eq!(chains.last(), Some(&hash(format!("{one} {two}").as_bytes())));
    }
}
