/** ZIP archives that are none of torch.save's, by the names of their entries, with what to do. */

export const TORCHSCRIPT =
  'a TorchScript archive (save its weights: torch.save(torch.jit.load(path).state_dict(), "weights.pth"))';

const ARCHIVES: readonly { readonly is: RegExp; readonly what: string }[] = [
  { is: /(^|\/)(constants\.pkl|code\/.+)$/, what: TORCHSCRIPT },
  {
    is: /(^|\/)(serialized_exported_program\.json|serialized_state_dict\.pt|archive_format|models\/[^/]+\.json)$/,
    what: 'an exported program, .pt2 (save its weights: torch.save(torch.export.load(path).state_dict, "weights.pth"))',
  },
  {
    is: /^(metadata\.json|config\.json|model\.weights\.h5)$/,
    what: 'a .keras archive whose entries are not in Keras\'s order (save it again: keras.models.load_model(path).save("model.keras"))',
  },
  {
    is: /\.npy$/,
    what: "an archive of NumPy's arrays, .npz (make tensors of them, and torch.save them under their names)",
  },
];

/** What an archive with such an entry is; undefined if the name tells nothing. */
export const impostorOf = (entry: string): string | undefined => ARCHIVES.find(({ is }) => is.test(entry))?.what;
