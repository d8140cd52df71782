//! The README shows the program that it claims to show. Whether the program works is tested with the C ABI.

#[test]
fn the_program_in_the_readme_is_the_example() {
    let readme = include_str!("../README.md");
    let (_, after) = readme
        .split_once("<!-- examples/c/shortest.c -->\n```c\n")
        .expect("the program's place");
    let shown = after.split("```").next().expect("its end");
    assert_eq!(shown, include_str!("../examples/c/shortest.c"));
}
