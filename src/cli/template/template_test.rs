//! The template language: what it prints, what it cuts, what it refuses.

use super::*;

fn record() -> Shown<'static> {
    Shown {
        topic: "orders",
        partition: 3,
        offset: 42,
        leader_epoch: Some(7),
        timestamp: Some(1_644_796_800_123),
        timestamp_type: Some("CreateTime"),
        key: Some(b"k1"),
        value: Some(b"{\"a\": 1}"),
        headers: vec![(b"trace", Some(b"x\x01")), (b"empty", None)],
        producer_id: Some(1000),
        producer_epoch: Some(2),
        compression: Some("zstd".to_owned()),
        transactional: Some(true),
        control: Some(false),
        log_start: Some(1),
        last_stable: Some(50),
        high_watermark: Some(60),
    }
}

fn printed_of(template: &str, record: &Shown<'_>) -> String {
    let mut out = Vec::new();
    OutputTemplate::parse(template)
        .expect(template)
        .write(record, 5, &mut out)
        .expect("a vector takes every write");
    out.escape_ascii().to_string()
}

fn printed(template: &str) -> String {
    printed_of(template, &record())
}

#[test]
fn every_field_prints() {
    for (template, wanted) in [
        ("%t/%p/%o@%e", "orders/3/42@7"),
        ("%k=%v", "k1={\\\"a\\\": 1}"),
        ("%T %K %V %H", "6 2 8 2"),
        ("%x.%y #%i", "1000.2 #5"),
        ("%[..%|..%]", "1..50..60"),
        ("%d", "1644796800123"),
        ("%d{strftime[%F %T.%L]}", "2022-02-14 00:00:00.123"),
        (
            "%a{compression} %a{timestamp-type} %a{transactional-bit} %a{control-bit}",
            "zstd CreateTime 1 0",
        ),
        ("%h{%k=%v;}", "trace=x\\x01;empty=;"),
        ("%h{%K:%k %v{hex},}", "5:trace 7801,5:empty ,"),
        ("100%% %{%}", "100% {}"),
        ("\\n\\t\\x41\\\\", "\\n\\tA\\\\"),
    ] {
        assert_eq!(printed(template), wanted, "{template}");
    }
}

#[test]
fn every_form_prints() {
    for (template, wanted) in [
        ("%k{hex}", "6b31"),
        ("%k{base64}", "azE="),
        ("%v{json}", "{\\\"a\\\":1}"),
        ("%k{json}", "\\\"k1\\\""),
        ("%k{unpack[>H]}", "27441"),
        ("%k{unpack[<H$]}", "12651"),
        ("%k{unpack[bc]}", "107 1"),
        ("%k{unpack[I]}", "<2 bytes too few>"),
        ("%k{unpack[b$]}", "107 <1 bytes too many>"),
        ("%K{big32}", "\\x00\\x00\\x00\\x02"),
        ("%K{little16}", "\\x02\\x00"),
        ("%K{byte}", "\\x02"),
        ("%o{hex}", "2a"),
        ("%o{hex16}", "002a"),
        ("%o{hex64}", "000000000000002a"),
        ("%K{bool}", "true"),
        ("%d{big64}", "\\x00\\x00\\x01~\\xf5\\x87l{"),
    ] {
        assert_eq!(printed(template), wanted, "{template}");
    }
}

#[test]
fn what_is_unknown_or_null_prints_as_kafka_does() {
    let unknown = Shown {
        topic: "t",
        ..Shown::default()
    };
    assert_eq!(
        printed_of("%e %d %x %y %K %V %[ %a{compression} [%k][%v] %v{json}", &unknown),
        "-1 -1 -1 -1 -1 -1 -1 -1 [][] null"
    );
}

#[test]
fn what_is_no_template_is_refused() {
    for template in [
        "%",
        "%q",
        "%k{nonsense}",
        "%o{nonsense}",
        "%h",
        "%h{%o}",
        "%h{%h{%k}}",
        "%k{hex",
        "\\q",
        "\\x4",
        "%a",
        "%d{strftime}",
        "%k{unpack[Z]}",
        "%v{8}",
    ] {
        assert!(OutputTemplate::parse(template).is_err(), "{template}");
    }
    for template in [
        "",
        "text",
        "%k%v",
        "%o %v",
        "%h{%k=%v}",
        "%d{strftime[%F]}",
        "%v{unpack[I]}",
        "%i",
        "%a{compression}",
    ] {
        assert!(InputTemplate::parse(template).is_err(), "{template}");
    }
}

fn cut(template: &str, input: &[u8]) -> anyhow::Result<Vec<Input>> {
    let template = InputTemplate::parse(template).expect(template);
    let mut input = input;
    std::iter::from_fn(|| template.read(&mut input).transpose()).collect()
}

fn pair(key: Option<&str>, value: &str) -> Input {
    Input {
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        ..Input::default()
    }
}

#[test]
fn lines_are_cut_with_and_without_the_last_line_feed() {
    let wanted = vec![pair(None, "one"), pair(None, ""), pair(None, "two")];
    assert_eq!(cut("%v\\n", b"one\n\ntwo\n").expect("lines"), wanted);
    assert_eq!(cut("%v\\n", b"one\n\ntwo").expect("lines"), wanted);
    assert_eq!(cut("%v\\n", b"").expect("nothing"), []);
}

#[test]
fn separators_may_have_several_letters() {
    let wanted = vec![pair(Some("a"), "1:x"), pair(Some("b:"), "2")];
    assert_eq!(
        cut("%k => %v\\r\\n", b"a => 1:x\r\nb: => 2\r\n").expect("pairs"),
        wanted
    );
}

#[test]
fn lengths_forms_and_headers_are_read() {
    assert_eq!(
        cut("%K{big16}%k%V{byte}%v", b"\x00\x02k1\x03abc\xff\xff\x01z").expect("sized"),
        [pair(Some("k1"), "abc"), pair(None, "z")]
    );
    assert_eq!(
        cut("%k{hex} %v{base64}\\n", b"6b31 YWJj\n").expect("encoded"),
        [pair(Some("k1"), "abc")]
    );
    assert_eq!(
        cut("%v{json}\\n", b"{\"a\": [1, \"}\"]}\n\"te\\\"xt\"\n12\n").expect("json"),
        [
            pair(None, "{\"a\": [1, \"}\"]}"),
            pair(None, "\"te\\\"xt\""),
            pair(None, "12")
        ]
    );
    assert_eq!(
        cut("%p %d %t %H %h{%k=%v,}%v{3}\\n", b"4 99 t 2 a=1,b=2,xyz\n").expect("headers"),
        [Input {
            topic: Some("t".to_owned()),
            key: None,
            value: Some(b"xyz".to_vec()),
            partition: Some(4),
            timestamp: Some(99),
            headers: vec![
                ("a".to_owned(), Some(b"1".to_vec())),
                ("b".to_owned(), Some(b"2".to_vec()))
            ],
        }]
    );
}

#[test]
fn input_that_does_not_fit_is_an_error() {
    for (template, input) in [
        ("%k %v\\n", &b"only-a-key"[..]),
        ("%V{big32}%v", b"\x00\x00\x00\x09abc"),
        ("%p %v\\n", b"x y\n"),
        ("%v{hex}\\n", b"6b3\n"),
        ("%v{base64}\\n", b"!!\n"),
        ("%v{json}\\n", b"{oops}\n"),
        ("%v{3};", b"abcd;"),
    ] {
        let read = cut(template, input);
        assert!(read.is_err(), "{template}: {read:?}");
    }
}

#[test]
fn what_one_template_prints_the_same_template_reads() {
    let template = "%t %p %d %H %h{%K{byte}%k%V{big32}%v}%K{big32}%k%V{big32}%v";
    let mut out = Vec::new();
    OutputTemplate::parse(template)
        .expect("a template")
        .write(&record(), 1, &mut out)
        .expect("a vector takes every write");
    let read = cut(template, &out).expect("the same template");
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].value.as_deref(), record().value);
    assert_eq!(read[0].headers[1], ("empty".to_owned(), None));
    assert_eq!(read[0].timestamp, record().timestamp);
}
