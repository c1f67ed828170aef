//! Bodies of any length, two chunks in memory at a time.

use std::io::{Read, Write};
use std::mem;

use crate::chunks::{CHUNK_BYTES, Chunks, TAG_BYTES};
use crate::key::Fresh;
use crate::metadata::{Context, Metadata};
use crate::{ClientKey, Error};

/// Encrypts one object. Its metadata are known before its first byte.
pub struct Encryptor {
    chunks: Chunks,
    metadata: Metadata,
}

impl Encryptor {
    /// Makes a data key for one object. The context is authenticated and can be read by everyone; naming bucket and key in it lets
    /// the reader notice that the server gave another object. Errs: NoRandomness, BadContext.
    pub fn new(key: &ClientKey, context: &Context) -> Result<Self, Error> {
        Self::with(Fresh::random()?, key, context)
    }

    pub(crate) fn with(fresh: Fresh, key: &ClientKey, context: &Context) -> Result<Self, Error> {
        let metadata = Metadata::describe(&fresh, key, context)?;
        Ok(Self { chunks: Chunks::new(&fresh.data_key, fresh.iv), metadata })
    }

    /// What must be stored with the object.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Encrypts everything that `source` gives into `sink`, and tells how many bytes `source` gave.
    /// Errs: TooLong, Read, Write.
    pub fn copy(self, source: impl Read, sink: impl Write) -> Result<u64, Error> {
        let mut chunks = self.chunks;
        let mut plaintext_bytes: u64 = 0;
        each_chunk(source, sink, CHUNK_BYTES, |chunk, last| {
            plaintext_bytes = plaintext_bytes.saturating_add(chunk.len() as u64);
            chunks.seal(chunk, last)
        })?;
        Ok(plaintext_bytes)
    }
}

/// Decrypts one object.
pub struct Decryptor {
    chunks: Chunks,
    context: Context,
}

impl Decryptor {
    /// Reads the metadata and unwraps the data key. Errs: Malformed, Unsupported, WrongKey, DamagedMetadata.
    pub fn new(metadata: &Metadata, key: &ClientKey) -> Result<Self, Error> {
        let opened = metadata.open(key)?;
        Ok(Self { chunks: Chunks::new(&opened.data_key, opened.iv), context: opened.context })
    }

    /// The context that the object was encrypted with; authenticated.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Errs: OtherContext, unless the object was encrypted with exactly this context.
    pub fn require_context(&self, wanted: &Context) -> Result<(), Error> {
        if self.context == *wanted {
            return Ok(());
        }
        let text = |context: &Context| serde_json::to_string(context).unwrap_or_default();
        Err(Error::OtherContext { wanted: text(wanted), found: text(&self.context) })
    }

    /// Decrypts everything that `source` gives into `sink`, and tells how many bytes went there. Each chunk is verified before it
    /// is written. Whether the end is missing shows only there: what was written counts only once this has succeeded.
    /// Errs: Damaged, CutOff, Continued, Read, Write.
    pub fn copy(self, source: impl Read, sink: impl Write) -> Result<u64, Error> {
        let mut chunks = self.chunks;
        let mut plaintext_bytes: u64 = 0;
        each_chunk(source, sink, CHUNK_BYTES + TAG_BYTES, |chunk, last| {
            chunks.open(chunk, last)?;
            plaintext_bytes = plaintext_bytes.saturating_add(chunk.len() as u64);
            Ok(())
        })?;
        Ok(plaintext_bytes)
    }
}

/// Passes `source` through `change` in chunks of `bytes`, the last of which may be shorter and is told so. There is always one.
fn each_chunk(
    mut source: impl Read,
    mut sink: impl Write,
    bytes: usize,
    mut change: impl FnMut(&mut Vec<u8>, bool) -> Result<(), Error>,
) -> Result<(), Error> {
    let room = CHUNK_BYTES + TAG_BYTES;
    let (mut chunk, mut ahead) = (Vec::with_capacity(room), Vec::with_capacity(room));
    fill(&mut source, &mut chunk, bytes)?;
    loop {
        ahead.clear();
        if chunk.len() == bytes {
            fill(&mut source, &mut ahead, bytes)?;
        }
        let last = ahead.is_empty();
        change(&mut chunk, last)?;
        sink.write_all(&chunk).map_err(Error::Write)?;
        if last {
            return sink.flush().map_err(Error::Write);
        }
        mem::swap(&mut chunk, &mut ahead);
    }
}

/// Reads until there are `bytes`, or no more.
fn fill(source: &mut impl Read, chunk: &mut Vec<u8>, bytes: usize) -> Result<(), Error> {
    chunk.clear();
    source.by_ref().take(bytes as u64).read_to_end(chunk).map(drop).map_err(Error::Read)
}
