// Sort the files that a person chose or dropped: the pictures in their natural order, an archive, a manifest, and what is skipped and why.

const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$/i;
const MANIFEST = /\.(xlsx|(csv|tsv|jsonl|ndjson|txt|xml)(\.gz)?)$/i;
/** Text files among pictures are seldom lists of them. */
const TEXT = /\.(txt|xml)$/i;
const SYSTEM_FILE = /(^|\/)(\.|__macosx\/|thumbs\.db$|desktop\.ini$)/i;
/** Endings of file names, by format. Other files are pictures if their first bytes say so. */
const ENDINGS = { jpeg: ["jpg", "jpeg", "jfif", "jpe"], png: ["png"], webp: ["webp"], gif: ["gif"], avif: ["avif"], bmp: ["bmp", "dib"], heic: ["heic", "heif"], tiff: ["tif", "tiff"], jp2: ["jp2", "j2k", "jpx", "jpf"], jxl: ["jxl"] };
const FIRST_BYTES = /^(\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF.{4}WEBP|.{4}ftyp(avi[fs]|hei[cfmsx]|hev[cx]|mif1|msf1)|II\*\0|MM\0\*|\xff\x0a|\0\0\0\x0c(JXL |jP {2}))/s;
const HEAD_BYTES = 16;
/** Pictures that the server does not open, by the endings of their names. */
const OTHER_FORMAT = /\.(psd|svg|ico|eps|dng|cr[23]|nef|arw)$/i;

/**
 * Sort out files, given as `{file, path}`. `limits` are those of the server.
 * Resolves to `{kind, pictures, file, bytes, skipped}`: `kind` is pictures, archive, manifest or nothing; `skipped` maps each
 * reason to the paths.
 */
export async function sortOut(files, limits) {
  const skipped = new Map();
  const skip = (reason, path) => {
    if (!skipped.has(reason)) skipped.set(reason, []);
    skipped.get(reason).push(path);
  };
  if (files.length === 1) {
    const [{ file, path }] = files;
    const kind = ARCHIVE.test(path) ? "archive" : MANIFEST.test(path) ? "manifest" : null;
    if (kind) {
      const most = kind === "archive" ? limits.archive_bytes : limits.manifest_bytes;
      if (file.size > 0 && file.size <= most) return { kind, file, pictures: [], bytes: file.size, skipped };
      skip(file.size ? "tooLarge" : "empty", path);
      return { kind: "nothing", pictures: [], bytes: 0, skipped };
    }
  }
  const pictures = [];
  const seen = new Set();
  for (const entry of files) {
    const reason = seen.has(entry.path) ? "twice" : await whyNot(entry, limits);
    seen.add(entry.path);
    if (reason) skip(reason, entry.path);
    else pictures.push(entry);
  }
  sortNaturally(pictures);
  const bytes = pictures.reduce((sum, { file }) => sum + file.size, 0);
  return { kind: pictures.length ? "pictures" : "nothing", pictures, bytes, skipped };
}

/** Sort as people count: 2 before 10. Comparing in a language would take half a minute for 100,000 files. */
function sortNaturally(entries) {
  const keys = new Map(entries.map(({ path }) => [path, path.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(15, "0"))]));
  entries.sort((a, b) => (keys.get(a.path) < keys.get(b.path) ? -1 : 1));
}

/** Why a file is skipped, or null. */
async function whyNot({ file, path }, limits) {
  if (SYSTEM_FILE.test(path)) return "system";
  if (ARCHIVE.test(path) || (MANIFEST.test(path) && !TEXT.test(path))) return "packed";
  if (file.size === 0) return "empty";
  const ending = path.split(".").pop().toLowerCase();
  const isNamed = limits.formats.some((format) => (ENDINGS[format] ?? [format]).includes(ending));
  if (!isNamed) {
    if (OTHER_FORMAT.test(path)) return "otherFormat";
    // The browser knows the type by the ending. Only files without a known ending are opened, because that takes a while.
    if ((file.type && !file.type.startsWith("image/")) || !FIRST_BYTES.test(await headOf(file))) return "noPicture";
  }
  return file.size > limits.picture_bytes ? "tooLarge" : null;
}

async function headOf(file) {
  try {
    return String.fromCharCode(...new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()));
  } catch {
    return ""; // The file cannot be read.
  }
}

/** The folder that all pictures share, or the name of an archive or manifest without its ending. Null if there is none. */
export function nameOfSource({ kind, pictures, file }) {
  if (kind !== "pictures") return file.name.replace(ARCHIVE, "").replace(MANIFEST, "");
  const tops = new Set(pictures.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  return tops.size === 1 ? [...tops][0] || null : null;
}
