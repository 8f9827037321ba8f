use std::cell::Cell;

use super::*;

fn read(folder: &Path) -> Result<String> {
    let path = folder.join("data");
    fs::read_to_string(&path).io("read", path)
}

#[test]
fn built_once_and_again_when_torn() {
    let root = tempfile::tempdir().unwrap();
    let builds = Cell::new(0);
    let get = || {
        entry(root.path(), "f", &|_| {}, read, |folder| {
            builds.set(builds.get() + 1);
            fs::write(folder.join("data"), "whole").io("write", folder)
        })
        .unwrap()
    };
    assert_eq!((get(), get(), builds.get()), ("whole".into(), "whole".into(), 1));
    let data = root.path().join("prepared/f/data");
    fs::write(&data, "who").unwrap();
    assert_eq!((get(), builds.get()), ("whole".into(), 2));
    fs::remove_file(root.path().join("prepared/f").join(SEAL)).unwrap();
    assert_eq!((get(), builds.get()), ("whole".into(), 3));
    // Left by a process that was killed while it prepared.
    fs::remove_dir_all(root.path().join("prepared/f")).unwrap();
    fs::create_dir(root.path().join("prepared/f.tmp")).unwrap();
    fs::write(root.path().join("prepared/f.tmp/other"), "torn").unwrap();
    assert_eq!((get(), builds.get()), ("whole".into(), 4));
    assert!(!root.path().join("prepared/f/other").exists());
}

#[test]
fn a_failed_build_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let fail = |_: &Path| Err(Error::input("no"));
    assert_eq!(entry(root.path(), "f", &|_| {}, read, fail).unwrap_err().message(), "no");
    assert!(!root.path().join("prepared/f").exists() && !root.path().join("prepared/f.tmp").exists());
}

#[test]
fn threads_prepare_once() {
    let root = tempfile::tempdir().unwrap();
    let builds = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let build = |folder: &Path| {
                    builds.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    fs::write(folder.join("data"), "whole").io("write", folder)
                };
                assert_eq!(entry(root.path(), "f", &|_| {}, read, build).unwrap(), "whole");
            });
        }
    });
    assert_eq!(builds.into_inner(), 1);
}

#[test]
fn contents_do_not_depend_on_the_place() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a"), root.path().join("b"));
    for (path, text) in [(&a, "same"), (&b, "same")] {
        fs::write(path, text).unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    let of = |path: &Path, names: &[String]| contents(root.path(), &[path.to_owned()], names).unwrap();
    assert_eq!(of(&a, &[]), of(&b, &[]));
    assert_ne!(of(&a, &["x".into()]), of(&a, &[]));
    assert_eq!(fs::read_dir(root.path().join("hashes")).unwrap().count(), 3);
    assert_eq!(of(&a, &[]), of(&b, &[]));
    fs::write(&a, "diff").unwrap();
    assert_ne!(of(&a, &[]), of(&b, &[]));
    fs::write(&a, "same").unwrap();
    assert_eq!(of(&a, &[]), of(&b, &[]));
}
