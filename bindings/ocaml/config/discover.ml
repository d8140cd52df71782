(* Where libdocker_store is: in the folders that the environment names (a tree it was just built in), or where
   pkg-config says. *)

module C = Configurator.V1

(* What Rust's standard library needs of the system, where it is linked statically. *)
let system = [ "-lgcc_s"; "-lutil"; "-lrt"; "-lpthread"; "-lm"; "-ldl" ]

(* A tree holds the shared library, too, but not under the name by which a program asks for it when it runs. *)
let in_tree folder = [ "-L" ^ folder; "-l:libdocker_store.a" ] @ system

let by_pkg_config c =
  let query pc = C.Pkg_config.query pc ~package:"docker_store" in
  match Option.bind (C.Pkg_config.get c) query with
  | Some { C.Pkg_config.cflags; libs } -> cflags, libs
  | None ->
    C.die
      "libdocker_store is not there: pkg-config knows no docker_store. Install it (PKG_CONFIG_PATH may say where), or \
       name the folders of libdocker_store.a and docker_store.h with DOCKER_STORE_LIB and DOCKER_STORE_INCLUDE."

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
