//! Bytes on the seat allocator's port that are of no use to anybody: the sale does not notice.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Launch, Port};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty frame of settings.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

/// Reads until the server has closed the connection.
fn until_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it is not closed: {error}");
    }
}

/// Catches: bytes that end the process, the port, or the sale; a connection that is kept for ever.
#[test]
fn bad_frames_and_other_protocols_are_closed() {
    let server = Launch::new().with_grpc().start();
    let address = server.launch().grpc_addr();
    // Headers of no connection's first stream, a frame that is longer than any may be, settings of a length that none has.
    let headers_of_nobody = [0, 0, 1, 1, 4, 0, 0, 0, 2, 0xff];
    let too_long = [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    let half_a_setting = [0, 0, 3, 4, 0, 0, 0, 0, 0, 1, 2, 3];
    for sent in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01".to_vec(),
        [PREFACE, SETTINGS, &headers_of_nobody].concat(),
        [PREFACE, SETTINGS, &too_long].concat(),
        [PREFACE, &half_a_setting].concat(),
        [PREFACE, &[0xa5; 4_096]].concat(),
    ] {
        let mut stream = connect(address);
        stream.write_all(&sent).expect("it is taken");
        until_closed(stream);
    }
    // Those that say nothing and those that say half take nobody's turn.
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(address)).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(&PREFACE[..7]).expect("it is taken"));
    let mut stream = connect(address);
    stream.write_all(&[PREFACE, SETTINGS].concat()).expect("it is taken");
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).expect("the server's settings");
    assert_eq!(answer[3], 4, "settings come first: {answer:?}");
    let mut session = server.session();
    session.held("hostile", "h", 1, 10);
    drop(slow);
    server.stop();
}

/// Catches: two servers that share the port unnoticed; a port that cannot be told by its name; an offset that leaves it without one.
#[test]
fn the_port_is_claimed_by_name_and_can_be_done_without() {
    let launch = Launch::new().with_grpc();
    let taken = TcpListener::bind(launch.grpc_addr()).expect("the port");
    launch.serve_to_end().assert_refused(&["seat-allocator", &launch.grpc_addr().to_string()]);
    assert!(!launch.dir().exists(), "nothing is taken over, or made, before that is known");
    let beyond = launch.clone().without_env("INTERLOCK_GRPC");
    beyond.run(&["config", "--port-offset", "15485"]).assert_refused(&["port_offset", "15484"]);
    let server = launch.env("INTERLOCK_GRPC", "off").start();
    assert_eq!(server.session().get(Port::Gateway, "/healthz").status, 200);
    server.stop();
    drop(taken);
}
