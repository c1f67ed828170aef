//! The published example bodies of the S3 API Reference, and properties of the decoder under splits and damage.

use super::*;
use proptest::prelude::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn signer(seed: &str) -> ChunkSigner {
    let date = AmzDate::parse("20130524T000000Z").unwrap();
    let scope = Scope::new("20130524", "us-east-1", "s3");
    ChunkSigner::new(SigningKey::derive(SECRET, &scope), &date, &scope, seed.to_owned())
}

/// 65536 and 1024 times `a`, framed with three published signatures.
fn published(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let mut body = format!("10000;chunk-signature={first}\r\n").into_bytes();
    body.extend(vec![b'a'; 65536]);
    body.extend(format!("\r\n400;chunk-signature={second}\r\n").bytes());
    body.extend(vec![b'a'; 1024]);
    body.extend(format!("\r\n0;chunk-signature={last}\r\n{end}").bytes());
    body
}

fn decode(mut decoder: ChunkedDecoder, pieces: &[&[u8]]) -> Result<(Vec<u8>, Trailers), S3Error> {
    let mut out = Vec::new();
    for piece in pieces {
        for part in decoder.feed(Bytes::copy_from_slice(piece))? {
            out.extend_from_slice(&part);
        }
    }
    Ok((out, decoder.finish()?))
}

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const SIGNATURES: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];
const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
const TRAILER_SIGNATURES: [&str; 3] = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILERS: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";

#[test]
fn the_published_chunked_upload() {
    let body = published(SIGNATURES, "\r\n");
    assert_eq!(body.len(), 66824);
    let decoder = ChunkedDecoder::new(ChunkedKind::Signed(signer(SEED)), 66560, vec![]);
    let (data, trailers) = decode(decoder, &[&body]).unwrap();
    assert_eq!((data, trailers), (vec![b'a'; 66560], vec![]));
}

#[test]
fn the_published_upload_with_a_trailer() {
    let declared = vec!["x-amz-checksum-crc32c".to_owned()];
    let whole = published(TRAILER_SIGNATURES, TRAILERS);
    let blank_line = published(TRAILER_SIGNATURES, &format!("\r\n{TRAILERS}"));
    let no_end = published(TRAILER_SIGNATURES, TRAILERS.trim_end());
    let line_feeds = published(TRAILER_SIGNATURES, &TRAILERS.replacen("\r\n", "\n\r\n", 1));
    for body in [whole, blank_line, no_end, line_feeds] {
        let kind = ChunkedKind::SignedTrailer(signer(TRAILER_SEED));
        let (data, trailers) = decode(ChunkedDecoder::new(kind, 66560, declared.clone()), &[&body]).unwrap();
        assert_eq!(data.len(), 66560);
        assert_eq!(trailers, vec![("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())]);
    }
}

#[test]
fn a_wrong_signature_ends_the_body_and_nothing_is_held_until_then() {
    let body = published([SIGNATURES[0], SIGNATURES[0], SIGNATURES[2]], "\r\n");
    let mut decoder = ChunkedDecoder::new(ChunkedKind::Signed(signer(SEED)), 66560, vec![]);
    let mut released = 0;
    let mut failed = None;
    for piece in body.chunks(1000) {
        match decoder.feed(Bytes::copy_from_slice(piece)) {
            Ok(parts) => released += parts.iter().map(Bytes::len).sum::<usize>(),
            Err(error) => {
                failed = Some(error.code());
                break;
            }
        }
    }
    let sent = 65536 + 1024;
    assert!(released > 65536 && released <= sent, "{released} of {sent} bytes");
    assert_eq!(failed, Some(ErrorCode::SignatureDoesNotMatch));
    assert!(decoder.feed(Bytes::from_static(b"x")).is_err());
}

fn unsigned(length: u64, declared: &[&str], body: &str) -> Result<(Vec<u8>, Trailers), ErrorCode> {
    let declared = declared.iter().map(|name| (*name).to_owned()).collect();
    let decoder = ChunkedDecoder::new(ChunkedKind::UnsignedTrailer, length, declared);
    decode(decoder, &[body.as_bytes()]).map_err(|error| error.code())
}

#[test]
fn unsigned_bodies() {
    let crc = "x-amz-checksum-crc32";
    let whole = Ok((b"hello".to_vec(), vec![(crc.to_owned(), "NhCmhg==".to_owned())]));
    assert_eq!(unsigned(5, &[crc], "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), whole);
    assert_eq!(unsigned(5, &[crc], "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Amz-Checksum-CRC32: NhCmhg==\r\n"), whole);
    assert_eq!(unsigned(5, &[crc], "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\n\r\n\r\n"), whole, "minio-go's");
    assert_eq!(unsigned(0, &[], "0\r\n\r\n"), Ok((vec![], vec![])));
    for (length, declared, body, code) in [
        (5, &[crc][..], "5\r\nhello\r\n0\r\n\r\n", ErrorCode::MalformedTrailerError),
        (5, &[][..], "5\r\nhello\r\n0\r\nx-a:1\r\n\r\n", ErrorCode::MalformedTrailerError),
        (
            5,
            &[crc][..],
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:a\r\nx-amz-checksum-crc32:a\r\n\r\n",
            ErrorCode::MalformedTrailerError,
        ),
        (5, &[][..], "5\r\nhello\r\n0\r\n\r\nx", ErrorCode::InvalidRequest),
        (5, &[][..], "5\r\nhello\r\n0\r\n\r\n\r", ErrorCode::InvalidRequest),
        (5, &[][..], "5\r\nhello\r\n0\r\n\r\n\r\n\r\n", ErrorCode::InvalidRequest),
        (5, &[][..], "5\r\nhello\r\n0\r\n\r\nx\n", ErrorCode::InvalidRequest),
        (5, &[][..], "5\r\nhello!\r\n0\r\n\r\n", ErrorCode::InvalidRequest),
        (5, &[][..], "5\nhello\r\n0\r\n\r\n", ErrorCode::InvalidRequest),
        (5, &[][..], "+5\r\nhello\r\n0\r\n\r\n", ErrorCode::InvalidRequest),
        (5, &[][..], "\r\n", ErrorCode::InvalidRequest),
        (5, &[][..], "fffffffffffffffff\r\n", ErrorCode::InvalidRequest),
        (5, &[][..], "ffffffffffffffff\r\n", ErrorCode::IncompleteBody),
        (5, &[][..], "5\r\nhel", ErrorCode::IncompleteBody),
        (5, &[][..], "5\r\nhello\r\n", ErrorCode::IncompleteBody),
        (6, &[][..], "5\r\nhello\r\n0\r\n\r\n", ErrorCode::IncompleteBody),
        (4, &[][..], "5\r\nhello\r\n0\r\n\r\n", ErrorCode::IncompleteBody),
        (5, &[][..], "", ErrorCode::IncompleteBody),
    ] {
        assert_eq!(unsigned(length, declared, body), Err(code), "{body:?}");
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(CHUNK_LINE_BYTES_MAX));
    assert_eq!(unsigned(5, &[], &long), Err(ErrorCode::InvalidRequest));
    let blanks = format!("0\r\n{}", "\r\n".repeat(TRAILER_BYTES_MAX));
    assert_eq!(unsigned(0, &[crc], &blanks), Err(ErrorCode::MalformedTrailerError));
}

#[test]
fn signed_chunks_need_a_signature() {
    for (line, code) in
        [("10\r\n", ErrorCode::InvalidRequest), ("0;chunk-signature=00\r\n", ErrorCode::SignatureDoesNotMatch)]
    {
        let mut decoder = ChunkedDecoder::new(ChunkedKind::Signed(signer(SEED)), u64::MAX, vec![]);
        assert_eq!(decoder.feed(Bytes::from_static(line.as_bytes())).map_err(|e| e.code()), Err(code));
    }
}

/// A client that stops within a large chunk must cost no memory.
#[test]
fn what_arrives_of_a_signed_chunk_leaves_at_once() {
    let mut decoder = ChunkedDecoder::new(ChunkedKind::Signed(signer(SEED)), 1 << 40, vec![]);
    let line = format!("{:x};chunk-signature={}\r\n", 1_u64 << 40, SIGNATURES[0]);
    assert_eq!(decoder.feed(line.into()).unwrap(), Vec::<Bytes>::new());
    for _ in 0..4 {
        let piece = Bytes::from(vec![7; 100_000]);
        assert_eq!(decoder.feed(piece.clone()).unwrap(), [piece]);
    }
    assert_eq!(decoder.finish().map_err(|error| error.code()), Err(ErrorCode::IncompleteBody));
}

/// A signed body with a trailer, as a client makes it.
fn encode(chunks: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let mut signer = signer(TRAILER_SEED);
    let (mut body, mut data) = (Vec::new(), Vec::new());
    for chunk in chunks.iter().map(Vec::as_slice).chain([&[][..]]) {
        let signature = signer.chunk_signature(&sha256_hex(chunk));
        body.extend(format!("{:x};chunk-signature={signature}\r\n", chunk.len()).bytes());
        if !chunk.is_empty() {
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        data.extend_from_slice(chunk);
        signer.previous = signature;
    }
    let signature = signer.trailer_signature("x-amz-checksum-crc32:AAAAAA==\n");
    let end = format!("x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
    body.extend(end.bytes());
    (body, data)
}

fn decoder_for(length: usize) -> ChunkedDecoder {
    let declared = vec!["x-amz-checksum-crc32".to_owned()];
    ChunkedDecoder::new(ChunkedKind::SignedTrailer(signer(TRAILER_SEED)), length as u64, declared)
}

fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..4)
}

proptest! {
    #[test]
    fn any_split_decodes_the_same(chunks in chunks(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let (body, data) = encode(&chunks);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len())).collect();
        cuts.sort_unstable();
        let (mut pieces, mut at) = (Vec::new(), 0);
        for cut in cuts {
            pieces.push(&body[at..cut]);
            at = cut;
        }
        pieces.push(&body[at..]);
        let (decoded, trailers) = decode(decoder_for(data.len()), &pieces).unwrap();
        prop_assert_eq!(decoded, data);
        prop_assert_eq!(trailers.len(), 1);
    }

    #[test]
    fn a_damaged_body_never_decodes_to_other_bytes(chunks in chunks(), at: prop::sample::Index, byte: u8) {
        let (mut body, data) = encode(&chunks);
        let at = at.index(body.len());
        let before = std::mem::replace(&mut body[at], byte);
        // Only the case of a hexadecimal size or of a trailer's name, and the carriage return of a trailer line, may
        // change without a refusal; they carry nothing.
        match decode(decoder_for(data.len()), &[&body]) {
            Ok((decoded, trailers)) => {
                let harmless = before == byte || before.eq_ignore_ascii_case(&byte) || before == b'\r';
                prop_assert!(harmless, "byte {} at {} became {}", before, at, byte);
                prop_assert_eq!(decoded, data);
                prop_assert_eq!(trailers, vec![("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())]);
            }
            Err(_) => prop_assert_ne!(before, byte),
        }
    }

    #[test]
    fn a_truncated_body_is_refused_or_whole(chunks in chunks(), at: prop::sample::Index) {
        let (body, data) = encode(&chunks);
        let at = at.index(body.len());
        if decode(decoder_for(data.len()), &[&body[..at]]).is_ok() {
            // Nothing but the line ends behind the trailers' signature may be missing.
            prop_assert!(body[at..].iter().all(|b| b"\r\n".contains(b)));
        }
    }
}
