open Docker_store
open Support
open Harness
open Fixture

let inspect format image = String.concat "" (Engine.docker [ "image"; "inspect"; "--format"; format; image ])

let configured () =
  with_base @@ fun store ->
  let config =
    Image_config.make ~entrypoint:[ "/bin/sh"; "-c" ] ~command:[ "echo $A" ]
      ~env:[ "A", Some "one two"; "NONE", None ]
      ~labels:[ "org.example/x", Some "y" ]
      ~user:"1000" ~directory:"/srv" ~ports:[ "80"; "53/udp" ] ~volumes:[ "/data" ] ~stop_signal:"INT" ()
  in
  let work step =
    let* () = Step.configure step config in
    run step (sh "echo \"[$A]\" >/seen")
  in
  ignore (get (with_step store ~base:"base" ~id:"app" work));
  let image = prefix store ^ "-image-app" in
  equal "words" "[/bin/sh -c] [echo $A]" (inspect "{{.Config.Entrypoint}} {{.Config.Cmd}}" image);
  equal "the rest" "1000 /srv INT y" (inspect "{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{index .Config.Labels \"org.example/x\"}}" image);
  equal "ports and volumes" "map[53/udp:{} 80/tcp:{}] map[/data:{}]" (inspect "{{.Config.ExposedPorts}} {{.Config.Volumes}}" image);
  equal "the step saw its base's" "[]\n" (look store ~base:"app" "cat /seen");
  equal "the next sees its own" "one two\n" (look store ~base:"app" "echo $A");
  let step = Option.get (get (begin_step store ~base:"base" ~id:"bad")) in
  equal "a bad one" "invalid argument" (status (Step.configure step (Image_config.make ~ports:[ "http" ] ())));
  get (Step.commit step)

let as_a_file () =
  with_base @@ fun store ->
  ignore (get (build store "app" "echo made >/made"));
  let file = Filename.temp_file "docker-store-ocaml" ".tar" in
  Fun.protect ~finally:(fun () -> Sys.remove file) @@ fun () ->
  let both format =
    let buffer = Buffer.create 100_000 in
    let bytes = get (save store ~name:"example.test/app:1" ~id:"app" format (Buffer.add_string buffer)) in
    equal "as many as it says" (string_of_int (Buffer.length buffer)) (string_of_int bytes);
    let again = get (save_file store ~name:"example.test/app:1" ~id:"app" format file) in
    check "the same bytes" (again = bytes && read_file file = Buffer.contents buffer);
    let heard = ref 0 in
    let progress { Step.current; total; _ } =
      check "so far" (current <= total);
      heard := current
    in
    check "loaded" (get (load_file store ~progress ~id:"copy" file) = Built);
    check "heard of it" (!heard = bytes);
    equal "its files" "made\n" (look store ~base:"copy" "cat /made");
    check "a hit" (get (load store ~id:"copy" (fun _ _ _ -> fail "read")) = Hit);
    ignore (get (delete store "copy"));
    let half = String.sub (Buffer.contents buffer) 0 (bytes / 2) in
    let at = ref 0 in
    let input buffer offset length =
      let n = min length (String.length half - !at) in
      Bytes.blit_string half !at buffer offset n;
      at := !at + n;
      n
    in
    equal "half of it" "cut short" (status (load store ~id:"copy" input));
    check "nothing" (not (get (result store "copy")))
  in
  both Docker_archive;
  both Oci_layout;
  (match load store ~id:"copy" (fun _ _ _ -> raise Exit) with
  | _ -> fail "raised nothing"
  | exception Exit -> ());
  equal "none" "not found" (status (save_file store ~id:"none" Oci_layout file))

let named () =
  with_base @@ fun store ->
  ignore (get (build store "app" "echo made >/made"));
  let name = Printf.sprintf "example.test/%s:1" (prefix store) in
  let id name = inspect "{{.Id}}" (prefix store ^ "-image-" ^ name) in
  check "no image had the name before" (get (tag store ~id:"base" name) = None);
  check "taken from" (get (tag store ~id:"app" name) = Some (id "base"));
  ignore (Engine.docker [ "image"; "rm"; name ]);
  equal "a store's own" "invalid argument" (status (tag store ~id:"app" (prefix store ^ "-image-x")));
  (* No server listens there. *)
  let login = { Step.user = "u"; password = "p"; server = None } in
  let refused = push store ~progress:ignore ~login ~id:"app" "127.0.0.1:1/app:1" in
  equal "no registry" "engine" (status refused);
  ignore (Engine.docker [ "image"; "rm"; "127.0.0.1:1/app:1" ])

let given_up () =
  let root = new_root () in
  let store = get (open_store root) in
  import_base store;
  let names = prefix store in
  equal "open" "busy" (status (destroy root));
  get (close store);
  let found = get (destroy ~dry_run:true root) in
  check "a look" (List.for_all (fun { fate; _ } -> fate = Found) found && Sys.file_exists root);
  let claim = List.find (fun { name; kind; _ } -> kind = Volume && name = claim names) found in
  check "the same by its identity" (List.exists (fun { name; root; _ } -> name = claim.name && root <> None) (get (find_remains ~identity:claim.identity ())));
  equal "it is there" "conflict" (status (destroy_remains claim.identity));
  let gone = get (destroy root) in
  check "all of it" (List.for_all (fun { fate; _ } -> fate = Removed) gone);
  check "gone" ((not (Sys.file_exists root)) && Engine.all names = []);
  equal "no root" "not found" (status (destroy root));
  check "nothing left of it" (get (destroy_remains claim.identity) = [])

let tests =
  [
    test "a result says what was set" configured;
    test "a result goes through a file, and comes back" as_a_file;
    test "a result has a name of the caller's" named;
    test "a root is destroyed" given_up;
  ]
