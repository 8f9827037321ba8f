//! Objects of S3, Google Cloud Storage and Azure: brought into the cache once, each under its version.
//!
//! Keys and regions come from the environment variables that the providers' own tools read (`AWS_...`, `GOOGLE_...`,
//! `AZURE_...`).

use std::io::Write;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, parse_url_opts};
use tempfile::NamedTempFile;
use url::Url;

use super::{fetch::safe_end, files::fits};
use crate::error::{Error, IoContext, Result};

/// The most objects of one pattern.
const MOST: usize = 100_000;

/// The objects of an address, in the order of their names; the last part of it may hold `*` and `?`.
///
/// # Errors
/// No such object, a refused login, a store that cannot be reached, a full disk.
pub(super) fn bring(address: &str, downloads: &Path, progress: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::failed(format!("cannot start downloads: {e}")))?;
    std::fs::create_dir_all(downloads).io("create", downloads)?;
    runtime.block_on(all(address, downloads, progress))
}

async fn all(address: &str, downloads: &Path, progress: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::input(format!("`{address}` is no address of an object: {e}"))
            .next("write it as in `s3://bucket/folder/file.parquet`")
    };
    // A `?` belongs to the pattern here, not to a query.
    let url = Url::parse(&address.replace('?', "%3F")).map_err(|e| wrong(&e))?;
    let settings = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let (store, path) = parse_url_opts(&url, settings).map_err(|e| wrong(&e))?;
    let found = find(store.as_ref(), &path).await.map_err(|e| fault(address, &e))?;
    if found.is_empty() || found.len() > MOST {
        let message = format!("{} objects fit `{address}`", found.len());
        return Err(Error::input(message).next(format!("check `data.source.url`; it takes 1 to {MOST}")));
    }
    let mut files = Vec::new();
    for object in found {
        files.push(one(store.as_ref(), &object, address, downloads, progress).await?);
    }
    Ok(files)
}

/// The object, or those that fit the pattern, by name.
async fn find(store: &dyn ObjectStore, path: &object_store::path::Path) -> object_store::Result<Vec<ObjectMeta>> {
    let name = path.filename().unwrap_or_default();
    if !name.contains(['*', '?']) {
        return Ok(vec![store.head(path).await?]);
    }
    let parts: Vec<_> = path.parts().collect();
    let folder = parts.iter().take(parts.len().saturating_sub(1)).cloned().collect();
    let fits = |object: &ObjectMeta| object.location.filename().is_some_and(|own| fits(own, name));
    let listed = store.list_with_delimiter(Some(&folder)).await?;
    let mut found: Vec<_> = listed.objects.into_iter().filter(fits).collect();
    found.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(found)
}

/// The object's file in the cache: another version of it is another file.
async fn one(
    store: &dyn ObjectStore,
    object: &ObjectMeta,
    address: &str,
    downloads: &Path,
    progress: &dyn Fn(&str),
) -> Result<PathBuf> {
    let version = object.e_tag.clone().unwrap_or_else(|| object.last_modified.to_rfc3339());
    let key = blake3::hash(format!("{address}\n{}\n{version}\n{}", object.location, object.size).as_bytes()).to_hex();
    let name = safe_end(object.location.filename().unwrap_or("object"));
    let target = downloads.join(format!("object-{}-{name}", &key[..24]));
    if target.metadata().is_ok_and(|meta| meta.len() == object.size) {
        return Ok(target);
    }
    progress(&format!("downloading {} ({} MB)", object.location, object.size.div_ceil(1_000_000)));
    let mut part = NamedTempFile::new_in(downloads).io("create", downloads)?;
    // Breaks within the stream are mended by the client, which asks for the rest of the same version.
    let mut stream = store.get(&object.location).await.map_err(|e| fault(address, &e))?.into_stream().boxed();
    while let Some(bytes) = stream.try_next().await.map_err(|e| fault(address, &e))? {
        part.write_all(&bytes).io("write", &target)?;
    }
    part.as_file().sync_all().io("sync", &target)?;
    part.persist(&target).map_err(|e| Error::io("rename", &target, e.error))?;
    Ok(target)
}

fn fault(address: &str, e: &object_store::Error) -> Error {
    use object_store::Error as Store;
    match e {
        Store::NotFound { .. } => {
            Error::input(format!("there is no object `{address}`")).next("check `data.source.url`")
        }
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            Error::input(format!("the store refuses `{address}`")).next(
                "set the login as the provider's own tools take it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                 GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
            )
        }
        _ => {
            // The client's message repeats its causes over several lines.
            let why = e.to_string();
            let why = why.lines().next().unwrap_or_default().chars().take(300).collect::<String>();
            Error::failed(format!("cannot read `{address}`: {why}"))
                .next("check the network and the address, and try again")
        }
    }
}
