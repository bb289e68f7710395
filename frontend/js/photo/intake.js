// Every way in which files reach the page: chosen, photographed, dropped, pasted.
import { chosenFiles, droppedFiles } from "../shared/files.js";
import { $ } from "../shared/page.js";

const INPUTS = ["files", "camera", "next-files", "next-camera"];
/** Call `take(files)` with {file, path} for all that arrives, as long as `mayTake()` is true. */
export function listenForFiles(take, mayTake) {
  for (const id of INPUTS) {
    $(id).addEventListener("change", ({ target }) => {
      const files = chosenFiles(target);
      // The same file can be chosen again.
      target.value = "";
      give(files);
    });
  }
  // The whole page accepts files, because the browser would open a picture that is dropped beside a drop zone.
  let depth = 0;
  const over = (now) => {
    depth = now;
    $("main").classList.toggle("over", depth > 0 && mayTake());
  };
  addEventListener("dragenter", () => over(depth + 1));
  addEventListener("dragleave", () => over(depth - 1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    over(0);
    give(await droppedFiles(event.dataTransfer));
  });
  addEventListener("paste", async (event) => {
    if (event.clipboardData.files.length) give(await droppedFiles(event.clipboardData));
  });

  function give(files) {
    if (files.length && mayTake()) take(files);
  }
}
