//! The `postrider` command.

use std::process::ExitCode;

// Memory is taken by one thread and given back by another for most of what a message needs; this allocator is cheapest at
// that, and keeps the least.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    postrider::cli::main()
}
