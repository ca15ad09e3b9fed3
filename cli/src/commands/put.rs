//! `mdfs put`

use super::{Context, last_part};
use crate::error::{CliError, Exit};
use crate::output::{fields, print, shown, size};
use crate::{progress, stdio};
use clap::Args;
use mdfs_client::{PutBody, PutOptions};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkSize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Store a file
#[derive(Debug, Args)]
pub struct Put {
    /// The local file; `-` is standard input
    file: PathBuf,
    /// The name to store it under; ends with `/` for a folder [default: the file's own name]
    name: Option<String>,
    /// Media type [default: that of the name's ending]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Fail if there is a file of this name
    #[arg(long)]
    if_absent: bool,
    /// Copies of each chunk [default: the cluster's]
    #[arg(long, value_name = "COUNT")]
    replicas: Option<u8>,
    /// Bytes of a chunk, a power of two [default: the cluster's]
    #[arg(long, value_name = "BYTES")]
    chunk_size: Option<ChunkSize>,
    /// Store nothing if the bytes have another CRC-32 than this, 8 hexadecimal digits
    #[arg(long, value_name = "CRC")]
    crc32: Option<Crc32>,
}

impl Put {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let name = self.name()?;
        let (body, total) = if self.is_stdin() {
            let stdin = stdio::unbuffered(io::stdin()).map_err(|source| CliError::Stdio {
                action: "read standard input",
                source,
            })?;
            (PutBody::reader(stdin, None), None)
        } else {
            let metadata = std::fs::metadata(&self.file).map_err(|source| CliError::File {
                action: "read",
                path: self.file.clone(),
                source,
            })?;
            let total = metadata.is_file().then_some(metadata.len());
            (PutBody::file(&self.file), total)
        };
        let client = context.client()?;
        let bar = progress::bar(&name, total, context.global.quiet);
        let position = bar.clone();
        let options = PutOptions {
            content_type: self.content_type,
            if_absent: self.if_absent,
            crc32: self.crc32,
            replicas: self.replicas,
            chunk_size: self.chunk_size.map(u64::from),
            progress: Some(Arc::new(move |sent| position.set_position(sent))),
        };
        let result = client.put(&name, body, &options).await;
        bar.finish_and_clear();
        let info = result?;
        let table = || {
            fields(&[
                ("name", shown(&info.name).into_owned()),
                ("size", format!("{} ({} bytes)", size(info.size), info.size)),
                ("crc32", info.crc32.to_string()),
                ("blake3", info.blake3.to_string()),
            ])
        };
        print(context.global.output, &info, table, [info.name.as_str()])?;
        Ok(Exit::Ok)
    }

    fn is_stdin(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn name(&self) -> Result<String, CliError> {
        let own = || {
            let text = self.file.file_name().and_then(|name| name.to_str());
            text.map(str::to_owned)
                .filter(|_| !self.is_stdin())
                .ok_or_else(|| {
                    CliError::Usage("give a name to store it under: mdfs put FILE NAME".to_owned())
                })
        };
        match &self.name {
            None => own(),
            Some(folder) if last_part(folder).is_empty() => Ok(format!("{folder}{}", own()?)),
            Some(name) => Ok(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, name: Option<&str>, want: Option<&str>) {
        let put = Put {
            file: file.into(),
            name: name.map(str::to_owned),
            content_type: None,
            if_absent: false,
            replicas: None,
            chunk_size: None,
            crc32: None,
        };
        assert_eq!(put.name().ok().as_deref(), want);
    }

    #[test]
    fn a_file_keeps_its_own_name_unless_given_another() {
        check("films/a.mkv", None, Some("a.mkv"));
        check("films/a.mkv", Some("b.mkv"), Some("b.mkv"));
        check("films/a.mkv", Some("new/"), Some("new/a.mkv"));
        check("-", Some("b.mkv"), Some("b.mkv"));
        check("-", None, None);
        check("-", Some("new/"), None);
        check("..", None, None);
    }
}
