module S = S
module Build_log = Build_log
module Dao = Dao
module Docker = Docker
module Docker_sandbox = Docker_sandbox
module Docker_store = Docker_store
module Docker_builder = Build.Make_Docker
