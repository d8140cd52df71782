(* Finds libdocker_store: in the directories named by the environment (a build tree), or with pkg-config. *)

module C = Configurator.V1

(* System libraries that Rust's standard library needs if it is linked statically. *)
let system = [ "-lgcc_s"; "-lutil"; "-lrt"; "-lpthread"; "-lm"; "-ldl" ]

(* A build tree also contains the shared library, but not under the name that a program loads at run time. *)
let in_tree folder = [ "-L" ^ folder; "-l:libdocker_store.a" ] @ system

let by_pkg_config c =
  let query pc = C.Pkg_config.query pc ~package:"docker_store" in
  match Option.bind (C.Pkg_config.get c) query with
  | Some { C.Pkg_config.cflags; libs } -> cflags, libs
  | None ->
    C.die
      "libdocker_store not found: pkg-config knows no docker_store. Install it (and set PKG_CONFIG_PATH if necessary), \
       or set DOCKER_STORE_LIB and DOCKER_STORE_INCLUDE to the directories of libdocker_store.a and docker_store.h."

let absolute folder =
  if Filename.is_relative folder then
    C.die "%s: the folders that DOCKER_STORE_LIB and DOCKER_STORE_INCLUDE name must be absolute" folder;
  folder

let () =
  C.main ~name:"docker_store" @@ fun c ->
  let cflags, libs =
    match Sys.getenv_opt "DOCKER_STORE_INCLUDE", Sys.getenv_opt "DOCKER_STORE_LIB" with
    | Some headers, Some library -> [ "-I" ^ absolute headers ], in_tree (absolute library)
    | None, None -> by_pkg_config c
    | Some _, None | None, Some _ -> C.die "DOCKER_STORE_LIB and DOCKER_STORE_INCLUDE: set both, or neither"
  in
  C.Flags.write_sexp "c_flags.sexp" cflags;
  C.Flags.write_sexp "c_library_flags.sexp" libs
