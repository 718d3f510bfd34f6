//! For tools that show how Cellwall works: the walk of one function, and what a module needs.
