# Prints the OCaml code of a page, one block after the other.
/^```ocaml$/ { code = 1; next }
/^```$/ { code = 0 }
code { print }
