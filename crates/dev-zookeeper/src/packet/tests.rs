//! Tests of the packets: what is written is read back, and no bytes make a reader panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

impl<Op: Operation + Arbitrary + 'static> Arbitrary for Multi<Op> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Multi<Op>>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        vec(any::<Op>(), 0..5).prop_map(Multi).boxed()
    }
}

/// Writes and reads back; nothing may be left over.
fn there_and_back<T: Jute + PartialEq + std::fmt::Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    let mut input = Input::new(&bytes);
    prop_assert_eq!(&T::read(&mut input).expect("what was written is well-formed"), value);
    prop_assert!(input.is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn requests_are_read_back(request in any::<Request>()) {
        let mut bytes = Vec::new();
        request.write_body(&mut bytes);
        let mut input = Input::new(&bytes);
        prop_assert_eq!(Request::read_body(request.op(), &mut input), Ok(request));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn connecting_is_read_back(
        begin in any::<ConnectRequestBegin>(),
        read_only in any::<Option<bool>>(),
        response in any::<ConnectResponse>(),
    ) {
        there_and_back(&ConnectRequest { begin, read_only })?;
        there_and_back(&response)?;
    }

    #[test]
    fn replies_are_read_back(
        header in any::<ReplyHeader>(),
        data in any::<GetDataResponse>(),
        acl in any::<GetAclResponse>(),
        children in any::<Children2Response>(),
        created in any::<Create2Response>(),
        who in any::<WhoAmIResponse>(),
        event in any::<WatcherEvent>(),
        results in vec(any::<MultiResult>(), 0..5),
    ) {
        there_and_back(&header)?;
        there_and_back(&data)?;
        there_and_back(&acl)?;
        there_and_back(&children)?;
        there_and_back(&created)?;
        there_and_back(&who)?;
        there_and_back(&event)?;
        there_and_back(&MultiResponse(results))?;
    }

    #[test]
    fn no_bytes_make_a_reader_panic(op in -12_i32..110, bytes in vec(any::<u8>(), 0..300)) {
        Request::read_body(op, &mut Input::new(&bytes)).ok();
        ConnectRequest::read(&mut Input::new(&bytes)).ok();
        RequestHeader::read(&mut Input::new(&bytes)).ok();
        MultiResponse::read(&mut Input::new(&bytes)).ok();
    }

    #[test]
    fn a_mangled_request_makes_no_reader_panic(
        request in any::<Request>(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        request.write_body(&mut bytes);
        if !bytes.is_empty() {
            for (at, flip) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        Request::read_body(request.op(), &mut Input::new(&bytes)).ok();
    }

    #[test]
    fn frames_are_found_in_any_pieces(
        packets in vec(vec(any::<u8>(), 0..40), 0..8),
        pieces in vec(1_usize..30, 1..8),
    ) {
        let sent: Vec<u8> = packets.iter().flat_map(|packet| frame(packet).to_vec()).collect();
        let mut rest = sent.as_slice();
        let mut received = BytesMut::new();
        let mut found = Vec::new();
        for length in pieces.iter().cycle() {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            received.extend_from_slice(piece);
            while let Some(packet) = next_frame(&mut received).expect("they are small") {
                found.push(packet.to_vec());
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, packets);
    }
}

#[test]
fn a_frame_may_be_as_long_as_zookeeper_takes_it_and_no_longer() {
    let mut longest = BytesMut::from(frame(&vec![7; FRAME_MAX]).as_ref());
    assert_eq!(next_frame(&mut longest).unwrap().unwrap().len(), FRAME_MAX);

    let too_long = i32::try_from(FRAME_MAX + 1).unwrap();
    for claimed in [too_long, i32::MAX, -1, i32::MIN] {
        let mut received = BytesMut::from(claimed.to_bytes().as_slice());
        assert_eq!(next_frame(&mut received), Err(FrameError(claimed)));
    }
}

#[test]
fn a_connect_request_of_an_old_client_has_no_read_only() {
    let begin =
        ConnectRequestBegin { protocol: 0, last_zxid_seen: 0, timeout_ms: 4_000, session: 0, password: None };
    let read = ConnectRequest::read(&mut Input::new(&begin.to_bytes())).unwrap();
    assert_eq!(read, ConnectRequest { begin, read_only: None });
}
