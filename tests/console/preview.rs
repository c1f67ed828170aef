//! What is shown of a Parquet file.

use myfsio::console::route::Role;

use crate::browser::{Browser, Shown};
use crate::world;

const PEOPLE: &[u8] = include_bytes!("../fixtures/people.parquet");

async fn object(browser: &Browser, key: &str) -> Shown {
    browser.get(&format!("/ui/buckets/shared/object?key={key}")).await
}

#[actix_rt::test]
async fn the_schema_of_a_file_is_shown() {
    let node = world::node();
    node.node.put("/shared/people.parquet", PEOPLE);
    let reader = world::browser(&node, Role::Reader).await;
    let page = object(&reader, "people.parquet").await;
    let columns: Vec<_> =
        page.texts(".preview tbody th").into_iter().zip(page.texts(".preview tbody td code")).collect();
    let expected = [
        ("id", "int64"),
        ("name", "string"),
        ("born", "date"),
        ("seen", "timestamp(µs, UTC)"),
        ("balance", "decimal(10, 2)"),
        ("age", "uint8"),
        ("address", "group"),
        ("street", "string"),
        ("floor", "int16"),
        ("tags", "list"),
        ("list", "group"),
        ("element", "string"),
    ];
    assert_eq!(columns, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    let presence = page.texts(".preview tbody td.muted");
    assert_eq!(
        (presence[0].as_str(), presence[1].as_str(), presence[10].as_str()),
        ("always", "may be null", "repeated")
    );
    let figures = page.texts(".preview dd");
    assert_eq!((&figures[..3], figures[4].as_str()), (&["10".to_owned(), "9".into(), "3".into()][..], "Zstandard"));
    assert!(figures[5].starts_with("parquet-cpp-arrow"), "{figures:?}");
    assert_eq!(reader.get("/ui/buckets/shared/view?key=people.parquet").await.status, 400, "nothing is shown as it is");
}

#[actix_rt::test]
async fn a_long_footer_takes_another_range() {
    let node = world::node();
    let length: usize = u32::from_le_bytes(*PEOPLE[..PEOPLE.len() - 4].last_chunk().unwrap()).try_into().unwrap();
    let footer = &PEOPLE[PEOPLE.len() - 8 - length..PEOPLE.len() - 8];
    // It begins with field 1, a number. A text of 256 KiB as field 1 is put before it, which the number, now with its own field's
    // number in full, is not disturbed by.
    assert_eq!(footer[0], 0x15);
    let mut long = vec![0x18, 0x80, 0x80, 0x10];
    long.extend(std::iter::repeat_n(b'x', 256 * 1024));
    long.extend([0x05, 0x02]);
    long.extend(&footer[1..]);
    let mut file = b"PAR1".to_vec();
    file.extend(&long);
    file.extend(u32::try_from(long.len()).unwrap().to_le_bytes());
    file.extend(b"PAR1");
    node.node.put("/shared/long.parquet", &file);
    let reader = world::browser(&node, Role::Reader).await;
    let page = object(&reader, "long.parquet").await;
    assert_eq!(page.texts(".preview tbody tr").len(), 12, "{}", page.texts("main").join(" "));
}

#[actix_rt::test]
async fn what_cannot_be_read_is_told() {
    let node = world::node();
    let mut damaged = PEOPLE.to_vec();
    let middle = damaged.len() - 1_000;
    damaged[middle..middle + 400].fill(0xff);
    let mut encrypted = PEOPLE.to_vec();
    encrypted[PEOPLE.len() - 4..].copy_from_slice(b"PARE");
    let reader = world::browser(&node, Role::Reader).await;
    for (bytes, told) in [
        (&damaged[..], "is damaged"),
        (&encrypted, "is encrypted"),
        (b"\xff\xff\xff\xffPAR1", "too long"),
        (b"\x10\0\0\0PAR1", "is damaged"),
        (b"PAR1", "is no Parquet file"),
        (b"x", "is no Parquet file"),
    ] {
        node.node.put("/shared/x.parquet", bytes);
        let page = object(&reader, "x.parquet").await;
        assert_eq!(page.status, 200, "{told}");
        assert!(page.texts(".preview").join("").contains(told), "{told}: {:?}", page.texts(".preview"));
    }
}
