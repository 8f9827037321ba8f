use super::*;

#[test]
fn tokens_come_back_in_every_size() {
    let folder = tempfile::tempdir().unwrap();
    for (vocab, last) in [(256, 255), (257, 256), (65_536, 65_535), (65_537, 65_536)] {
        let path = folder.path().join("t");
        let mut writer = ShardWriter::create(&path, Layout::tokens(vocab)).unwrap();
        writer.tokens(&[1, 2, 3]).unwrap();
        writer.tokens(&[last]).unwrap();
        assert_eq!(writer.finish().unwrap(), 4);
        let shard = Shard::open(&path).unwrap();
        let mut ids = Vec::new();
        shard.tokens(1, 3, &mut ids).unwrap();
        assert_eq!(ids, [2, 3, last as i32]);
        assert!(shard.tokens(2, 3, &mut ids).is_err());
        assert!(shard.tokens(u64::MAX, 2, &mut ids).is_err());
    }
}

#[test]
fn rows_keep_their_targets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let layout = Layout { element: Element::U8, width: 3, target: TargetKind::Class, targets: 1 };
    let mut writer = ShardWriter::create(&path, layout).unwrap();
    writer.row(&[1, 2, 3], &7u32.to_le_bytes()).unwrap();
    writer.row(&[4, 5, 6], &8u32.to_le_bytes()).unwrap();
    writer.finish().unwrap();
    let shard = Shard::open(&path).unwrap();
    assert_eq!(shard.layout(), layout);
    assert_eq!(shard.row(1).unwrap(), (&[4, 5, 6][..], &[8, 0, 0, 0][..]));
    assert!(shard.row(2).is_err());
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let mut writer = ShardWriter::create(&path, Layout::tokens(256)).unwrap();
    writer.tokens(&[9; 100]).unwrap();
    writer.finish().unwrap();
    let good = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Shard::open(&path).unwrap_err().to_string()
    };
    assert!(refused(&[]).contains("truncated"));
    assert!(refused(&good[..good.len() - 1]).contains("truncated"));
    assert!(refused(&[0; 300]).contains("not a kiln shard"));
    for at in 8..48 {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        // Bytes 20..24 are reserved; every other one is judged.
        assert_eq!(Shard::open(&path).is_ok(), (20..24).contains(&at), "byte {at}");
    }
}

#[test]
fn an_unfinished_shard_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u");
    let mut writer = ShardWriter::create(&path, Layout::tokens(256)).unwrap();
    writer.tokens(&[9; 100]).unwrap();
    drop(writer);
    assert!(Shard::open(&path).is_err());
}
