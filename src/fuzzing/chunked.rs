//! The aws-chunked framing: decoded the same however the bytes arrive, and never to other bytes than those signed.

use bytes::Bytes;

use super::input::{is_answered, pieces, text_line};
use crate::s3::auth::chunked::{ChunkSigner, ChunkedKind};
use crate::s3::auth::signing::{AmzDate, Scope, SigningKey, sha256_hex};
use crate::s3::auth::{ChunkedDecoder, Trailers};
use crate::s3::error::ErrorCode;

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const TRAILER: &str = "x-amz-checksum-crc32";
/// A chunk costs two signatures; more of them would only take longer.
const CHUNKS_MAX: usize = 16;

type Decoded = Result<(Vec<u8>, Trailers), ErrorCode>;

/// A line `framing decoded-length trailers sizes` and a framed body that arrives in pieces of these sizes; or a line
/// `client framing sizes offset byte` and content, which is framed in chunks of these sizes and has that byte put there.
/// Framings are `signed`, `signed-trailer` and `unsigned-trailer`; lists are separated by commas.
pub fn aws_chunked(data: &[u8]) -> bool {
    let Some((line, body)) = text_line(data) else { return false };
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["client", framing, sizes, offset, byte] => {
            let (Ok(offset), Ok(byte)) = (offset.parse(), byte.parse()) else { return false };
            written_by_a_client(framing, &numbers(sizes), offset, byte, body)
        }
        [framing, length, trailers, sizes] => {
            let declared: Vec<String> = trailers.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect();
            let decoder = || Some(ChunkedDecoder::new(kind(framing)?, length.parse().ok()?, declared.clone()));
            let (Some(first), Some(second)) = (decoder(), decoder()) else { return false };
            let whole = decode(first, &[body]);
            assert_eq!(decode(second, &pieces(body, &numbers(sizes))), whole);
            whole.is_ok_and(|(content, _)| {
                assert!(content.len() <= body.len());
                length.parse() == Ok(content.len())
            })
        }
        _ => false,
    }
}

fn numbers(list: &str) -> Vec<usize> {
    list.split(',').filter_map(|number| number.parse().ok()).collect()
}

fn signer(seed: &str) -> ChunkSigner {
    let scope = Scope::new("20130524", "us-east-1", "s3");
    let date = AmzDate::parse("20130524T000000Z").expect("a date");
    ChunkSigner::new(SigningKey::derive("secret", &scope), &date, &scope, seed.to_owned())
}

fn kind(framing: &str) -> Option<ChunkedKind> {
    Some(match framing {
        "signed" => ChunkedKind::Signed(signer(SEED)),
        "signed-trailer" => ChunkedKind::SignedTrailer(signer(SEED)),
        "unsigned-trailer" => ChunkedKind::UnsignedTrailer,
        _ => return None,
    })
}

fn decode(mut decoder: ChunkedDecoder, pieces: &[&[u8]]) -> Decoded {
    let mut content = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        match decoder.feed(Bytes::copy_from_slice(piece)) {
            Ok(parts) => parts.iter().for_each(|part| content.extend_from_slice(part)),
            Err(error) => {
                is_answered(&error, &pieces[..=number].concat());
                assert!(decoder.feed(Bytes::from_static(b"0")).is_err(), "a decoder that failed goes on");
                assert!(decoder.finish().is_err());
                return Err(error.code());
            }
        }
    }
    decoder.finish().map(|trailers| (content, trailers)).map_err(|error| error.code())
}

fn written_by_a_client(framing: &str, sizes: &[usize], offset: usize, byte: u8, content: &[u8]) -> bool {
    let Some(kind) = kind(framing) else { return false };
    let smallest = content.len().div_ceil(CHUNKS_MAX);
    let sizes: Vec<usize> = sizes.iter().chain([&1]).map(|size| (*size).max(smallest)).collect();
    let (mut framed, trailers) = frame(framing, &pieces(content, &sizes));
    let declared: Vec<String> = trailers.iter().map(|(name, _)| name.clone()).collect();
    let decoder = |kind| ChunkedDecoder::new(kind, content.len() as u64, declared.clone());
    let expected = Ok((content.to_vec(), trailers.clone()));
    assert_eq!(decode(decoder(kind.clone()), &[&framed]), expected);
    assert_eq!(decode(decoder(kind.clone()), &pieces(&framed, &sizes)), expected);
    let at = offset % framed.len();
    let is_changed = std::mem::replace(&mut framed[at], byte) != byte;
    let damaged = decode(decoder(kind), &[&framed]);
    assert!(is_changed || damaged == expected);
    if framing.starts_with("signed") {
        assert!(damaged.is_err() || damaged == expected, "{damaged:?}");
    }
    true
}

fn frame(framing: &str, chunks: &[&[u8]]) -> (Vec<u8>, Trailers) {
    let (mut framed, mut signer) = (Vec::new(), framing.starts_with("signed").then(|| self::signer(SEED)));
    for chunk in chunks.iter().copied().chain([&[][..]]) {
        let signature = signer.as_ref().map(|signer| signer.chunk_signature(&sha256_hex(chunk)));
        let extension = signature.as_ref().map_or(String::new(), |text| format!(";chunk-signature={text}"));
        framed.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
        if !chunk.is_empty() {
            framed.extend_from_slice(chunk);
            framed.extend_from_slice(b"\r\n");
        }
        signer = signature.as_deref().map(self::signer);
    }
    let mut trailers = Trailers::new();
    if framing.ends_with("trailer") {
        trailers.push((TRAILER.to_owned(), "AAAAAA==".to_owned()));
        framed.extend(format!("{TRAILER}:AAAAAA==\r\n").bytes());
        if let Some(signer) = signer {
            let signature = signer.trailer_signature(&format!("{TRAILER}:AAAAAA==\n"));
            framed.extend(format!("x-amz-trailer-signature:{signature}\r\n").bytes());
        }
    }
    framed.extend_from_slice(b"\r\n");
    (framed, trailers)
}
