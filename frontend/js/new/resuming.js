// An upload from its start to its end: over pauses, lost connections and reloads.
import { change, get } from "../shared/api.js";
import { chosenFiles } from "../shared/files.js";
import { $, bytes, number, onLanguage, say, sayFailure } from "../shared/page.js";
import { allRemembered, alone, filesOf, forget, remember } from "./remembered.js";
import { arrivedOf, bytesOf, Upload } from "./upload.js";

const sizes = (entries) => entries.map(({ path, file, size }) => ({ path, size: file?.size ?? size }));

/** Send pictures as a new job. `onOpen` is called when the job exists. Throws as the API if it cannot be created. */
export async function startUpload(view, pictures, options, handles, onOpen) {
  const upload = new Upload(pictures, () => view.changed());
  await upload.open(options);
  await remember({ job: upload.job.id, name: options.name, queue: sizes(pictures), handles });
  onOpen();
  await sendAll(view, upload, options.name);
}

/** Offer to go on with an upload that an earlier visit began. */
export async function offerToGoOn(view, onEnd) {
  for (const record of await allRemembered()) {
    const job = await openJobOf(record);
    if (!job) await forget(record.job);
    else if (await alone(record.job, async () => true)) {
      offer(view, record, job, await arrivedOf(job, record.queue), onEnd);
      return;
    }
  }
}


async function sendAll(view, upload, name) {
  const end = async (action) => {
    try {
      await action();
      await forget(upload.job.id);
      location.assign(upload.job.links.page);
    } catch (error) {
      $("sending-problem").textContent = sayFailure(error);
      $("sending-problem").hidden = false;
      // Going on with nothing left to send tries to end once more.
      $("go-on").hidden = false;
    }
  };
  const run = async (go) => {
    await go();
    if (upload.state === "complete") await end(() => upload.close());
    if (upload.state === "over") await forget(upload.job.id);
  };
  const on = { pause: () => upload.pause(), "go-on": () => run(() => upload.run()), again: () => run(() => upload.retry()) };
  on.finish = () => end(() => upload.close());
  on.stop = () => end(() => upload.stop());
  for (const [id, action] of Object.entries(on)) $(id).addEventListener("click", action);
  view.show(name || upload.job.name, upload);
  $("sending-title").focus();
  // The lock is held until the window is closed.
  alone(upload.job.id, async () => {
    await run(() => upload.run());
    await new Promise(() => {});
  });
}

async function openJobOf({ job }) {
  try {
    const { body } = await get(`/v1/jobs/${job}`);
    return body.open_until ? body : null;
  } catch (error) {
    // Deleted, or another key's. An outage ends the offer, not the upload.
    if (error.status === 404 || error.status === 410) return null;
    throw error;
  }
}

function offer(view, record, job, arrived, onEnd) {
  const rest = record.queue.filter((entry) => !arrived.has(entry));
  const canOpen = record.handles.length > 0;
  const hasFolders = rest.some(({ path }) => path.includes("/"));
  onLanguage(() => {
    $("resume-title").textContent = say("resumeTitle", { name: record.name || job.name });
    $("resume-note").textContent = say(canOpen ? "resumeNote" : "resumeChoose", {
      done: number(arrived.size),
      total: number(record.queue.length),
      bytes: bytes(bytesOf(rest)),
    });
  });
  $("resume-go").hidden = !canOpen;
  $("resume-choose").hidden = canOpen || !hasFolders;
  $("resume-choose-files").hidden = canOpen || hasFolders;
  $("resume").hidden = false;
  const refuse = (text) => {
    $("resume-problem").textContent = text;
    $("resume-problem").hidden = false;
  };
  const goOn = (files) => {
    const given = withFiles(rest, files);
    const found = given.filter(({ file }) => file);
    if (!found.length && rest.length) return refuse(say("resumeNoMatch"));
    $("resume").hidden = $("start").hidden = true;
    const upload = new Upload([...arrived, ...found], () => view.changed());
    upload.unreadable = given.filter(({ file }) => !file);
    upload.adopt(job, arrived);
    return sendAll(view, upload, record.name);
  };
  $("resume-go").addEventListener("click", async () => {
    const files = await filesOf(record.handles);
    if (files) return goOn(files);
    // The browser does not open the folder any more: the person chooses it again.
    $("resume-go").hidden = true;
    $("resume-choose").hidden = !hasFolders;
    $("resume-choose-files").hidden = hasFolders;
    return refuse(say("resumeNoPermission"));
  });
  for (const id of ["resume-folder", "resume-files"]) {
    $(id).addEventListener("change", (event) => {
      const files = chosenFiles(event.target);
      event.target.value = "";
      goOn(files);
    });
  }
  const end = (call) => async () => {
    try {
      await change("POST", `/v1/jobs/${job.id}/${call}`);
      await forget(job.id);
      $("resume").hidden = true;
      onEnd();
    } catch (error) {
      refuse(sayFailure(error));
    }
  };
  $("resume-close").addEventListener("click", end("close"));
  $("resume-stop").addEventListener("click", end("cancel"));
}

/** The entries of a queue with the files that a person gave again. Files are the same if their path and size are. */
function withFiles(entries, files) {
  const byPath = new Map(files.map(({ file, path }) => [path, file]));
  return entries.map(({ path, size }) => {
    const file = byPath.get(path);
    return { path, size, file: file?.size === size ? file : null };
  });
}
