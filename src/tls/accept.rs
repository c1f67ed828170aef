//! Taking in a connection: the handshake, within its time, or nothing where the listener speaks plain HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::acceptor::Tls;
use super::mark::Mark;
use super::version::TlsVersion;

/// How long a handshake may take, at most: a few round trips over the slowest network.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection: a record of the handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// Most bytes of a plain request that are taken in, so that its client reads the answer.
const PLAIN_BYTES_MAX: u64 = 64 * 1024;
/// The answer to it.
const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 60\r\n\
                            Cache-Control: no-store\r\nConnection: close\r\n\r\n\
                            This port speaks HTTPS. Ask again with https:// in the URL.\n";

/// A client's connection.
#[derive(Debug)]
pub enum Socket {
    /// As it is.
    Plain(TcpStream),
    /// Sealed.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Takes in a connection, sealed where the listener has a certificate; `patience` bounds the handshake further. Errs: the client speaks
/// no TLS that the node does, or too slowly.
pub async fn accept(stream: TcpStream, tls: Option<&Tls>, patience: Duration) -> io::Result<(Socket, Option<Mark>)> {
    let Some(tls) = tls else { return Ok((Socket::Plain(stream), None)) };
    timeout(HANDSHAKE_TIMEOUT.min(patience), shake_hands(stream, tls)).await?
}

async fn shake_hands(mut stream: TcpStream, tls: &Tls) -> io::Result<(Socket, Option<Mark>)> {
    let mut first = [0];
    match (stream.peek(&mut first).await?, first) {
        (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
        // Only a method begins with such a letter.
        (_, [letter]) if letter.is_ascii_uppercase() => {
            refuse_plain(&mut stream).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP on a port of HTTPS"));
        }
        (_, [HANDSHAKE_RECORD]) => {}
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS")),
    }
    let stream = tls.acceptor.accept(stream).await?;
    let mark = mark_of(stream.get_ref().1);
    Ok((Socket::Tls(Box::new(stream)), mark))
}

async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with bytes unread would reset the connection, and the answer with it.
    tokio::io::copy(&mut stream.take(PLAIN_BYTES_MAX), &mut tokio::io::sink()).await.map(drop)
}

/// What a connection tells of itself after its handshake.
fn mark_of(connection: &ServerConnection) -> Option<Mark> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => TlsVersion::V1_2,
        ProtocolVersion::TLSv1_3 => TlsVersion::V1_3,
        _ => return None,
    };
    Mark::new(version, suite_name(connection.negotiated_cipher_suite()?.suite()))
}

/// A suite by OpenSSL's name, which access logs have (Amazon S3 User Guide, "Server access log format").
fn suite_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "unknown",
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_requests_is_as_long_as_it_says() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }

    #[test]
    fn every_suite_has_a_name() {
        for suite in rustls::crypto::aws_lc_rs::default_provider().cipher_suites {
            assert_ne!(suite_name(suite.suite()), "unknown", "{:?}", suite.suite());
        }
    }
}
