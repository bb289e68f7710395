// A better crop of the open picture, which is saved with its review.
import { $ } from "../shared/page.js";
import { PhotoCrop } from "../shared/photo-crop.js";

export class CropTool {
  /** `save(crop)` is called with {x, y, width, height} in pixels of the picture as people see it. */
  constructor(save) {
    this.save = save;
    this.place = $("viewer-cropper");
    $("viewer-crop-save").addEventListener("click", () => this.finish());
    $("viewer-crop-cancel").addEventListener("click", () => this.stop());
    $("viewer").addEventListener("cancel", (event) => {
      // Escape ends the crop first, and closes the viewer only then.
      if (this.active) event.preventDefault();
      this.stop();
    });
  }

  get active() {
    return !this.place.hidden;
  }

  /** Put the tool over a photo. `crop`: where the selection begins; else it is the middle of the picture. `source`: {width, height}. */
  async start(photo, crop, source) {
    this.place.hidden = false;
    $("viewer-crop-actions").hidden = false;
    const enable = (found) => ($("viewer-crop-save").disabled = !found);
    this.tool = await PhotoCrop.over(photo, this.place, { source, onChange: enable, onConfirm: () => this.finish() });
    if (crop) this.tool.show(crop);
    else this.tool.keepRatio(0);
    this.tool.focus();
  }

  finish() {
    const { crop } = this.tool;
    if (!crop) return;
    this.stop();
    this.save(crop);
  }

  stop() {
    this.place.hidden = true;
    this.place.replaceChildren();
    $("viewer-crop-actions").hidden = true;
  }
}
