// Joins the three members into replica set "pgo" and makes two accounts; safe to run again.
// The first account can be made without signing in, but only from the server's own address.
const fs = require("fs");

const MEMBERS = ["mongo1:27017", "mongo2:27017", "mongo3:27017"];
const secret = (name) => fs.readFileSync(`/run/secrets/${name}`, "utf8").trim();
const admin = connect("mongodb://127.0.0.1:27017/admin?directConnection=true");
const hello = () => admin.runCommand({ hello: 1 });

function join() {
  if (hello().setName) return;
  const members = MEMBERS.map((host, number) => ({
    _id: number,
    host,
    priority: number === 0 ? 2 : 1,
  }));
  admin.runCommand({ replSetInitiate: { _id: "pgo", members } });
}

function waitForPrimary() {
  for (let turn = 0; turn < 120; turn += 1) {
    const now = hello();
    if (now.isWritablePrimary) return true;
    if (now.primary && turn > 60) return false;
    sleep(500);
  }
  throw new Error("The replica set has no primary.");
}

function firstAccount() {
  try {
    admin.runCommand({
      createUser: "admin",
      pwd: secret("mongo_admin_password"),
      roles: [{ role: "root", db: "admin" }],
    });
  } catch (error) {
    // There is an account already: from now on everybody signs in.
    if (!["Unauthorized", "Location51003"].includes(error.codeName)) throw error;
  }
  admin.auth("admin", secret("mongo_admin_password"));
}

function serverAccount() {
  const pgo = admin.getSiblingDB("pgo");
  const account = {
    pwd: secret("mongo_pgo_password"),
    roles: ["pgo", "pgo-keys"].map((db) => ({ role: "readWrite", db })),
  };
  const known = pgo.runCommand({ usersInfo: "pgo" }).users.length > 0;
  pgo.runCommand(known ? { updateUser: "pgo", ...account } : { createUser: "pgo", ...account });
}

join();
if (waitForPrimary()) {
  firstAccount();
  serverAccount();
  print("The replica set is ready.");
} else {
  print("Another member is primary: the replica set was made before. Nothing to do.");
}
