//! The one question that Docker's API is asked: which image a name means, when an app is made.
//!
//! Never on the road to data: Docker holds a container's lock while it starts it, and would wait for itself.

use cofferdam_model::{Problem, Result, Settings, Sha256};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// The longest answer, in bytes.
const ANSWER_MAX: usize = 8 << 20;
/// How long Docker may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The part of an image's description that matters.
#[derive(Deserialize)]
struct Image {
    #[serde(rename = "Id")]
    id: String,
}

/// The digest of the config of the image that `reference` names now. A digest is taken as it is.
///
/// # Errors
/// `missing` where Docker does not know the image; `unavailable` where Docker does not answer, or keeps images in a way that
/// is not understood; `invalid` where `reference` is no image's name.
pub(crate) async fn image_config(settings: &Settings, reference: &str) -> Result<Sha256> {
    if let Ok(digest) = reference.parse() {
        return Ok(digest);
    }
    check(reference)?;
    let socket = &settings.docker.socket;
    let answered = tokio::time::timeout(PATIENCE, inspect(socket, reference)).await;
    let (status, body) = answered
        .map_err(|_| silent(socket, &format!("no answer within {} s", PATIENCE.as_secs())))?
        .map_err(|error| silent(socket, &error.to_string()))?;
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            return Err(Problem::missing(format!("Docker has no image {reference}"))
                .remedy(format!("pull it first: docker pull {reference}")));
        }
        other => return Err(silent(socket, &format!("it answered {other}"))),
    }
    let image: Image = serde_json::from_slice(&body)
        .map_err(|error| silent(socket, &format!("its answer cannot be read: {error}")))?;
    let digest: Sha256 = image
        .id
        .parse()
        .map_err(|_| silent(socket, "it named the image by something else than a digest"))?;
    if settings
        .docker
        .data_root
        .join("image/overlay2/imagedb/content/sha256")
        .join(digest.hex())
        .exists()
    {
        return Ok(digest);
    }
    let root = settings.docker.data_root.display();
    Err(Problem::unavailable(format!(
        "Docker's image store at {root} does not have {reference} as a config digest"
    ))
    .remedy(
        "set docker.data_root to Docker's root directory; the containerd image store is not supported yet",
    ))
}

/// An image's name, as far as it matters for what is put into a URL.
fn check(reference: &str) -> Result<()> {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'@');
    let path_like = reference
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..");
    if reference.is_empty() || reference.len() > 512 || !reference.bytes().all(fits) || path_like {
        return Err(Problem::invalid("not an image's name")
            .remedy("write it as docker run would take it, such as postgres:16"));
    }
    Ok(())
}

fn silent(socket: &Path, why: &str) -> Problem {
    Problem::unavailable(format!(
        "cannot ask Docker at {} for the image: {why}",
        socket.display()
    ))
    .remedy("start Docker, or give the image's digest: --image sha256:...")
}

async fn inspect(
    socket: &Path,
    reference: &str,
) -> std::result::Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::get(format!("/images/{reference}/json"))
        .header("Host", "docker")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MAX)
        .collect()
        .await?
        .to_bytes();
    driver.abort();
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_go_into_the_url() {
        for reference in ["postgres:16", "registry:5000/a/b@sha256:0", "busybox"] {
            assert!(check(reference).is_ok(), "{reference}");
        }
        for reference in [
            "",
            "a b",
            "../containers/x",
            "a//b",
            "a?x=1",
            "a#b",
            "a%2e",
            "a\r\nHost: x",
        ] {
            assert!(check(reference).is_err(), "{reference:?}");
        }
    }
}
