//! The least that a program does.

fn main() {
    println!("Hello, world!");
}
