//! The archive of an image.

use super::tar::Tar;
use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed: whoever pushes it to a registry compresses it, each in its own way.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of one layer.
pub(super) struct Image<'a> {
    /// Host, name and tag.
    pub(super) name: &'a str,
    pub(super) entrypoint: &'a str,
    /// The number of user and group.
    pub(super) user: u32,
    /// The layer, as an archive.
    pub(super) layer: &'a [u8],
}

/// A part of the image, named by its digest.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let hash = Sha256::digest(&bytes);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest: hex, bytes }
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    fn described(&self, media_type: &str) -> Value {
        json!({
            "mediaType": media_type,
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }
}

impl Image<'_> {
    /// The archive, and the digest by which the image is known.
    ///
    /// # Errors
    /// If a name is too long for the archive.
    pub(super) fn archive(&self) -> Result<(Vec<u8>, String)> {
        let layer = Blob::new(self.layer.to_vec());
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "User": format!("{0}:{0}", self.user),
                "Entrypoint": [self.entrypoint],
                "Env": ["PATH=/usr/bin"],
                "WorkingDir": "/",
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)] },
            "history": [{ "created_by": "cargo xtask image" }],
        });
        let config = Blob::new(config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.described(CONFIG),
            "layers": [layer.described(LAYER)],
        });
        let manifest = Blob::new(manifest.to_string().into_bytes());
        let mut described = manifest.described(MANIFEST);
        let tag = self.name.rsplit(':').next();
        if let Some(described) = described.as_object_mut() {
            let names = json!({
                // The first is the standard's, which has room for a tag only; the second is containerd's.
                "org.opencontainers.image.ref.name": tag,
                "io.containerd.image.name": self.name,
            });
            described.insert("annotations".to_owned(), names);
        }
        let index = json!({ "schemaVersion": 2, "manifests": [described] });
        // What `docker load` reads.
        let docker = json!([{
            "Config": config.path(),
            "RepoTags": [self.name],
            "Layers": [layer.path()],
        }]);
        let archive = Tar::default()
            .file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)
            .file("index.json", 0o644, index.to_string().as_bytes())
            .file("manifest.json", 0o644, docker.to_string().as_bytes())
            .file(&layer.path(), 0o644, &layer.bytes)
            .file(&config.path(), 0o644, &config.bytes)
            .file(&manifest.path(), 0o644, &manifest.bytes);
        Ok((archive.finish()?, format!("sha256:{}", manifest.digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_content_has_one_digest_under_any_name() {
        let image = |name, layer| Image {
            name,
            entrypoint: "/usr/bin/mdfs",
            user: 65532,
            layer,
        };
        let (bytes, digest) = image("localhost/a:1", b"layer").archive().unwrap();
        assert_eq!(
            image("localhost/a:1", b"layer").archive().unwrap(),
            (bytes.clone(), digest.clone())
        );
        let (other, same) = image("localhost/b:2", b"layer").archive().unwrap();
        assert!(other != bytes && same == digest);
        assert_ne!(
            image("localhost/a:1", b"other").archive().unwrap().1,
            digest
        );
        assert!(digest.starts_with("sha256:") && digest.len() == 71);
    }
}
